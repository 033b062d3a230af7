package cluster

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Family is the address families of a pair. Tests use IPv4 addresses, as the examples do. Each IPv4 address has a
// corresponding IPv6 address: 192.168.56.101/24 and fd00:56::101/64.
type Family string

const (
	IPv4 Family = "ipv4"
	Dual Family = "dual" // both; VRRP uses IPv4
	IPv6 Family = "ipv6"
)

// Families returns the families in HAPAIR_FAMILY, separated by commas, or the given ones if it is not set. named reports
// whether it is set: then tests must not skip anything.
func Families(t testing.TB, defaults ...Family) (families []Family, named bool) {
	t.Helper()
	for _, name := range strings.FieldsFunc(os.Getenv("HAPAIR_FAMILY"), func(r rune) bool { return r == ',' || r == ' ' }) {
		f := Family(name)
		if !slices.Contains([]Family{IPv4, Dual, IPv6}, f) {
			t.Fatalf("HAPAIR_FAMILY names %q: must be ipv4, dual or ipv6", name)
		}
		families = append(families, f)
	}
	if families == nil {
		return defaults, false
	}
	return families, true
}

// Prefixes returns the addresses of the family for an IPv4 address with prefix. The first one is used for VRRP.
func (f Family) Prefixes(v4 string) []netip.Prefix {
	prefix := netip.MustParsePrefix(v4)
	switch f {
	case Dual:
		return []netip.Prefix{prefix, sixth(prefix)}
	case IPv6:
		return []netip.Prefix{sixth(prefix)}
	}
	return []netip.Prefix{prefix}
}

// sixth returns the IPv6 address that corresponds to an IPv4 address.
func sixth(p netip.Prefix) netip.Prefix {
	b := p.Addr().As4()
	return netip.MustParsePrefix(fmt.Sprintf("fd00:%d::%d/64", b[2], b[3]))
}

// Addresses returns the addresses of the family for an IPv4 address.
func (f Family) Addresses(v4 string) []netip.Addr {
	var all []netip.Addr
	for _, p := range f.Prefixes(v4 + "/24") {
		all = append(all, p.Addr())
	}
	return all
}

// URLs returns the URLs of a port and a path at the addresses of the family for an IPv4 address.
func (f Family) URLs(v4 string, port uint16, path string) []string {
	var all []string
	for _, a := range f.Addresses(v4) {
		all = append(all, fmt.Sprintf("http://%v%s", netip.AddrPortFrom(a, port), path))
	}
	return all
}

var addressKey = regexp.MustCompile(`address: (192\.168\.\d+\.\d+)(/\d+)?`)

// Spec replaces a spec's addresses by those of the family. An address with a prefix (of a node or a VIP) is replaced by all
// of them. A server has one address: in a dual-stack pair, servers with an odd last number keep theirs. Nodes get an IPv6
// gateway, so that they do not wait for a router advertisement.
func (f Family) Spec(spec []byte) []byte {
	if f != IPv4 {
		gateway := fmt.Sprintf("gateway: %q", sixth(netip.MustParsePrefix("192.168.56.1/24")).Addr())
		spec = regexp.MustCompile(`interface: eth3}`).ReplaceAll(spec, []byte("interface: eth3, "+gateway+"}"))
		spec = regexp.MustCompile(`(?m)^( +)interface: (?:eth3|\{name: eth3, .*\})$`).ReplaceAll(spec, []byte("$0\n${1}"+gateway))
	}
	return addressKey.ReplaceAllFunc(spec, func(match []byte) []byte {
		m := addressKey.FindSubmatch(match)
		if len(m[2]) == 0 {
			all := f.Addresses(string(m[1]))
			return fmt.Appendf(nil, "address: %q", all[int(m[1][len(m[1])-1]-'0'+1)%2%len(all)].String())
		}
		var all []string
		for _, p := range f.Prefixes(string(m[1]) + string(m[2])) {
			all = append(all, fmt.Sprintf("%q", p))
		}
		return []byte("address: [" + strings.Join(all, ", ") + "]")
	})
}
