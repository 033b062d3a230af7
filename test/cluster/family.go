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

// Family is which address families a pair has. Tests write IPv4 addresses, as the examples do; each of them has an IPv6
// address that stands for it or beside it: 192.168.56.101/24 and fd00:56::101/64.
type Family string

const (
	IPv4 Family = "ipv4"
	Dual Family = "dual" // both; VRRP is spoken over IPv4
	IPv6 Family = "ipv6"
)

// Families returns those that HAPAIR_FAMILY names, separated by commas, or else the given ones. named reports whether it
// names any: then the tests are to leave nothing out.
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

// Prefixes are what an IPv4 address with its prefix is in the family, the one that VRRP prefers first.
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

// sixth is the IPv6 address that stands for an IPv4 one.
func sixth(p netip.Prefix) netip.Prefix {
	b := p.Addr().As4()
	return netip.MustParsePrefix(fmt.Sprintf("fd00:%d::%d/64", b[2], b[3]))
}

// Addresses are what an IPv4 address is in the family.
func (f Family) Addresses(v4 string) []netip.Addr {
	var all []netip.Addr
	for _, p := range f.Prefixes(v4 + "/24") {
		all = append(all, p.Addr())
	}
	return all
}

// URLs are those of a port and a path of what an IPv4 address is in the family.
func (f Family) URLs(v4 string, port uint16, path string) []string {
	var all []string
	for _, a := range f.Addresses(v4) {
		all = append(all, fmt.Sprintf("http://%v%s", netip.AddrPortFrom(a, port), path))
	}
	return all
}

var addressKey = regexp.MustCompile(`address: (192\.168\.\d+\.\d+)(/\d+)?`)

// Spec rewrites a spec's addresses for the family. What has a prefix, a node or a VIP, gets all of them. A server has one: in a
// dual-stack pair those with an odd last number keep theirs. Nodes get a gateway of IPv6, so that they wait for no router's
// advertisement.
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
