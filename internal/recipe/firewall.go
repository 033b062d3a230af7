package recipe

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/template"

	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/wellknown"
)

//go:embed hapair.nft.tmpl
var firewallTemplate string

// firewall is the input of the template: elements of nftables sets; empty if there are none.
type firewall struct {
	Node             string
	Interface        string // the interface of VRRP
	Peers4, Peers6   string // hosts whose VRRP is accepted
	Routed4, Routed6 string // those of them whose packets may have a TTL below 255, for example because they are behind a router
	Stats, Metrics   []portRule
	Tables           []portRule // the port for tables of sticky services
	Revisions        []portRule // where the other nodes ask whether a revision was confirmed
}

// portRule accepts connections from some networks, and no others, to a port of the node.
type portRule struct {
	Family, Address string // ip or ip6; no address: all
	Port            int
	From            string // empty: no connections
}

// newFirewall returns the content of /etc/nftables.d/hapair.nft: a separate table that does not affect other traffic.
func newFirewall(s *spec.Spec, n *spec.Node) (File, error) {
	var routed []netip.Prefix
	peers := peerHosts(s, n)
	for _, p := range peers {
		if behindRouter(n, p.Addr()) || lowHopLimit(s, p.Addr()) {
			routed = append(routed, p)
		}
	}
	if s.VRRP.Transport == spec.Multicast {
		// IPv6 multicast VRRP uses link-local addresses, which are not in a spec (RFC 9568, 5.1.2.1)
		peers = append(peers, netip.MustParsePrefix("fe80::/10"))
	}
	f := firewall{Node: n.Name, Interface: n.Interface, Stats: statsRules(s, n), Metrics: metricsRules(s, n),
		Peers4: set(peers, spec.IPv4), Peers6: set(peers, spec.IPv6), Routed4: set(routed, spec.IPv4), Routed6: set(routed, spec.IPv6)}
	if s.SharesTables() && s.HAProxy.Config == "" {
		f.Tables = []portRule{newPortRule(n, s.PeersAt(n), peerHosts(s, n))}
	}
	for _, a := range n.Addresses {
		f.Revisions = append(f.Revisions, newPortRule(n, netip.AddrPortFrom(a.Addr, wellknown.RevisionPort), peerHosts(s, n)))
	}
	t, err := template.New("hapair.nft").Parse(firewallTemplate)
	if err != nil {
		return File{}, fmt.Errorf("cannot render the firewall of node %s: %w", n.Name, err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, f); err != nil {
		return File{}, fmt.Errorf("cannot render the firewall of node %s: %w", n.Name, err)
	}
	return system(wellknown.FirewallRules, out.Bytes()), nil
}

// peerHosts returns the addresses of the other nodes.
func peerHosts(s *spec.Spec, n *spec.Node) []netip.Prefix {
	var out []netip.Prefix
	for _, peer := range s.Peers(n) {
		for _, a := range peer.Addresses {
			out = append(out, host(a.Addr))
		}
	}
	return out
}

// behindRouter reports whether an address is outside the node's own networks of that family, as far as the spec has them.
func behindRouter(n *spec.Node, peer netip.Addr) bool {
	known := false
	for _, a := range n.Addresses {
		if a.Bits == 0 || spec.FamilyOf(a.Addr) != spec.FamilyOf(peer) {
			continue
		}
		if known = true; a.Prefix().Contains(peer) {
			return false
		}
	}
	return known
}

// lowHopLimit reports whether an instance of keepalived.extra gets IPv6 advertisements from a peer that do not have a hop
// limit of 255, because it does not set unicast_ttl. The same text is on the peer.
func lowHopLimit(s *spec.Spec, peer netip.Addr) bool {
	return peer.Is6() && slices.ContainsFunc(keepalived.Read([]byte(s.Keepalived.Extra)).Instances, func(in keepalived.Instance) bool {
		return in.TTL != 255 && slices.ContainsFunc(in.Peers, netip.Addr.Is6)
	})
}

func statsRules(s *spec.Spec, n *spec.Node) []portRule {
	if s.Stats == nil || len(s.Stats.Allow) == 0 {
		return nil // then only the password protects it
	}
	var out []portRule
	for _, a := range n.Addresses {
		out = append(out, newPortRule(n, netip.AddrPortFrom(a.Addr, uint16(s.Stats.Port)), s.Stats.Allow))
	}
	return out
}

func metricsRules(s *spec.Spec, n *spec.Node) []portRule {
	at := s.MetricsOn(n)
	switch {
	case !at.IsValid() || len(s.Agent.Allow) == 0:
		return nil // then all clients may ask
	case at.Addr() == netip.IPv6Unspecified(): // which includes IPv4
		return []portRule{newPortRule(n, netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port()), s.Agent.Allow), newPortRule(n, at, s.Agent.Allow)}
	}
	return []portRule{newPortRule(n, at, s.Agent.Allow)}
}

// newPortRule accepts connections from networks, and from the node itself, to one of its ports.
func newPortRule(n *spec.Node, at netip.AddrPort, allow []netip.Prefix) portRule {
	allowed := slices.Clone(allow)
	for _, a := range n.Addresses {
		allowed = append(allowed, host(a.Addr))
	}
	r := portRule{Family: "ip", Port: int(at.Port()), From: set(allowed, spec.FamilyOf(at.Addr()))}
	if at.Addr().Is6() {
		r.Family = "ip6"
	}
	if !at.Addr().IsUnspecified() {
		r.Address = at.Addr().String()
	}
	return r
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// set returns the networks of a family as elements of an nftables set, in which networks must not overlap.
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
