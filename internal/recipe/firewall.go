package recipe

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/template"

	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/units"
)

//go:embed hapair.nft.tmpl
var firewallTemplate string

// firewall is what the template is filled with: elements of nftables sets, empty where there are none.
type firewall struct {
	Node           string
	Peers4, Peers6 string // who may speak VRRP
	Stats          []statsRule
}

// statsRule lets some networks, and nobody else, reach a port of the node.
type statsRule struct {
	Family, Address string // ip or ip6
	Port            int
	From            string
}

// newFirewall is /etc/nftables.d/hapair.nft: a table of hapair's own, which says nothing about other traffic.
func newFirewall(s *spec.Spec, n *spec.Node) (File, error) {
	var peers []netip.Prefix
	for _, peer := range s.Peers(n) {
		for _, a := range peer.Addresses {
			peers = append(peers, host(a.Addr))
		}
	}
	if s.VRRP.Transport == spec.Multicast {
		// VRRP over IPv6 multicast is spoken from link-local addresses, which no spec knows (RFC 9568, 5.1.2.1)
		peers = append(peers, netip.MustParsePrefix("fe80::/10"))
	}
	f := firewall{Node: n.Name, Peers4: set(peers, spec.IPv4), Peers6: set(peers, spec.IPv6), Stats: statsRules(s, n)}
	t, err := template.New("hapair.nft").Parse(firewallTemplate)
	if err != nil {
		return File{}, fmt.Errorf("cannot render the firewall of node %s: %w", n.Name, err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, f); err != nil {
		return File{}, fmt.Errorf("cannot render the firewall of node %s: %w", n.Name, err)
	}
	return system(units.FirewallPath, out.Bytes()), nil
}

func statsRules(s *spec.Spec, n *spec.Node) []statsRule {
	if s.Stats == nil || len(s.Stats.Allow) == 0 {
		return nil // then the password alone decides
	}
	allowed := slices.Clone(s.Stats.Allow)
	for _, a := range n.Addresses {
		allowed = append(allowed, host(a.Addr))
	}
	var out []statsRule
	for _, a := range n.Addresses {
		r := statsRule{Family: "ip", Address: a.Addr.String(), Port: s.Stats.Port, From: set(allowed, spec.FamilyOf(a.Addr))}
		if a.Addr.Is6() {
			r.Family = "ip6"
		}
		out = append(out, r)
	}
	return out
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// set writes the networks of a family as elements of an nftables set, in which none may lie in another.
func set(networks []netip.Prefix, f spec.Family) string {
	var out []string
	for i, p := range networks {
		p = p.Masked()
		inside := func(j int, q netip.Prefix) bool {
			q = q.Masked()
			return q.Bits() < p.Bits() && q.Contains(p.Addr()) || q == p && j < i
		}
		contained := false
		for j, q := range networks {
			contained = contained || inside(j, q)
		}
		switch {
		case contained || spec.FamilyOf(p.Addr()) != f:
		case p.IsSingleIP():
			out = append(out, p.Addr().String())
		default:
			out = append(out, p.String())
		}
	}
	return strings.Join(out, ", ")
}
