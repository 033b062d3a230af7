package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/nearest"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/strictyaml"
)

func quote(s string) string { return strictyaml.Quote(s) }

// meant returns a hint with the candidate that a misspelt word resembles, or with all candidates.
func meant(word string, known []string) string {
	if near := nearest.Word(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return ""
	}
	return "known: " + strings.Join(known, ", ")
}

// check validates a spec and adds problems to its document.
type check struct {
	*strictyaml.Document
	s *Spec
}

// validate reports the problems of a spec that could be decoded.
func (s *Spec) validate(doc *strictyaml.Document) {
	c := check{doc, s}
	if c.required("cluster") {
		c.name("cluster", s.Cluster, clusterRule)
	}
	c.image()
	c.nodes()
	c.vips()
	c.vrrp()
	c.stats()
	c.agent()
	c.log()
	c.services()
	c.files()
	c.access()
	c.passthrough()
	c.machineNames()
}

// required reports whether a key was given with a valid type. It adds a problem if the key is missing.
func (c check) required(path string) bool {
	if !c.Has(path) {
		if !c.HasError(path) {
			c.Problem(path, "is missing", "")
		}
		return false
	}
	return !c.HasError(path)
}

// written reports whether an optional key was given with a valid type.
func (c check) written(path string) bool { return c.Has(path) && !c.HasError(path) }

// name validates a value against a rule.
func (c check) name(path, value string, r rule) bool {
	if r.accepts(value) {
		return true
	}
	c.Problem(path, quote(value)+" is not allowed here", r.hint)
	return false
}

// port validates a port that was given or has a default.
func (c check) port(path string, port int) {
	if !c.HasError(path) && (port < 1 || port > 65535) {
		c.Problem(path, fmt.Sprintf("the port %d is out of range", port), "must be 1 to 65535")
	}
}

// unique reports names that occur twice. seen maps each name to the path of its first occurrence.
func (c check) unique(seen map[string]string, path, name, what string) {
	first, twice := seen[name]
	if !twice {
		seen[name] = path
		return
	}
	c.Problem(path, fmt.Sprintf("two %s are named %s", what, quote(name)), fmt.Sprintf("the other is on line %d", c.Line(first)))
}

// addressPath returns the path of one of the addresses of a key, which may be a list or a single address.
func (c check) addressPath(path string, i int) string {
	if p := path + "[" + strconv.Itoa(i) + "]"; c.Has(p) {
		return p
	}
	return path
}

func (c check) image() {
	s := c.s
	if !c.HasError("image.release") {
		if _, err := release.Get(s.Image.Release); err != nil {
			c.Problem("image.release", quote(s.Image.Release)+" is not a known release", meantRelease(s.Image.Release))
		}
	}
	for i, name := range s.Image.Packages {
		if path := fmt.Sprintf("image.packages[%d]", i); c.written(path) {
			c.name(path, name, packageRule)
		}
	}
}

// meantRelease returns a hint for a release that is given by its number, or misspelt.
func meantRelease(word string) string {
	for _, name := range release.Names() {
		if r, err := release.Get(name); err == nil && word != "" && slices.Contains(strings.Fields(r.Title), word) {
			return "write " + name + ", which is " + r.Title
		}
	}
	return meant(word, release.Names())
}

// usable reports an address that a machine cannot have, or that others cannot reach.
func (c check) usable(path string, a netip.Addr, loopback bool) bool {
	if !a.IsValid() {
		return false
	}
	kind := ""
	switch {
	case a.Zone() != "":
		kind = "an address with a zone"
	case a.Is4In6():
		kind = "an IPv4 address written as IPv6"
	case a.IsUnspecified():
		kind = "the unspecified address"
	case a.IsMulticast():
		kind = "a multicast address"
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		kind = "the broadcast address"
	case a.IsLoopback() && !loopback:
		kind = "a loopback address"
	case a.Is6() && a.IsLinkLocalUnicast():
		kind = "a link-local address"
	default:
		return true
	}
	c.Problem(path, fmt.Sprintf("%s is %s", a, kind), "")
	return false
}

// addresses validates one address, or one for each family, with their prefix lengths.
func (c check) addresses(path string, addresses []Address) bool {
	if !c.required(path) {
		return false
	}
	if len(addresses) > 2 {
		c.Problem(path, fmt.Sprintf("has %d addresses", len(addresses)), "one, or one of each family")
		return false
	}
	ok := c.eachAddress(path, addresses)
	if len(addresses) == 2 && addresses[0].Addr.IsValid() && addresses[1].Addr.IsValid() && FamilyOf(addresses[0].Addr) == FamilyOf(addresses[1].Addr) {
		c.Problem(c.addressPath(path, 1), "both addresses are of the same family", "one, or one of each family")
		ok = false
	}
	return ok
}

// eachAddress validates addresses with their prefix lengths, one by one.
func (c check) eachAddress(path string, addresses []Address) bool {
	if len(addresses) == 0 {
		c.Problem(path, "has no address", "one, or one of each family")
		return false
	}
	ok := true
	for i, a := range addresses {
		p := c.addressPath(path, i)
		if c.HasError(p) || !c.usable(p, a.Addr, false) {
			ok = false
			continue
		}
		if end := networkEnd(a); end != "" {
			c.Problem(p, fmt.Sprintf("%s is the %s address of its network", a.Prefix(), end), "")
			ok = false
		}
	}
	return ok
}

// networkEnd reports the two addresses of an IPv4 network that no host can have. In a /31 hosts can have both (RFC 3021).
func networkEnd(a Address) string {
	if !a.Addr.Is4() || a.Bits == 0 || a.Bits > 30 {
		return ""
	}
	network := a.Prefix().Masked().Addr()
	if a.Addr == network {
		return "network"
	}
	bytes, mask := network.As4(), uint32(1)<<(32-a.Bits)-1
	for i := range bytes {
		bytes[i] |= byte(mask >> (24 - 8*i))
	}
	if a.Addr == netip.AddrFrom4(bytes) {
		return "broadcast"
	}
	return ""
}
