package effect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/wellknown"
)

// onlyAtStart are keywords of global_defs that keepalived reads at its start, and not at a reload (keepalived.conf(5)).
var onlyAtStart = map[string]bool{"net_namespace": true, "namespace_with_ipsets": true, "instance": true, "use_pid_dir": true,
	"enable_snmp_vrrp": true, "enable_dbus": true, "child_wait_time": true}

// ofKeepalived returns the effects of a keepalived.conf that differs.
func ofKeepalived(f *File) []Effect {
	if f.Old == nil || f.New == nil {
		return []Effect{{Restart, wellknown.KeepalivedUnit, f.Path}}
	}
	kind := Reload
	if !slices.Equal(atStart(f.Old), atStart(f.New)) {
		kind = Restart
	}
	all := []Effect{{kind, wellknown.KeepalivedUnit, f.Path}}
	for _, why := range moves(keepalived.Read(f.Old).Instances, keepalived.Read(f.New).Instances) {
		all = append(all, Effect{Kind: Moves, Why: why})
	}
	return all
}

// atStart returns the lines of a keepalived.conf that keepalived reads only at its start.
func atStart(config []byte) []string {
	var lines []string
	for line := range strings.Lines(string(config)) {
		if words := strings.Fields(line); len(words) > 0 && onlyAtStart[words[0]] {
			lines = append(lines, strings.Join(words, " "))
		}
	}
	return lines
}

// moves returns why VIPs may come, go or move between two configurations of a node, a phrase each.
func moves(before, after []keepalived.Instance) []string {
	var all []string
	was := byName(before)
	for _, now := range after {
		old, existed := was[now.Name]
		delete(was, now.Name)
		if !existed {
			all = append(all, addresses(now, "comes")...)
			continue
		}
		for _, gone := range without(old, now) {
			all = append(all, fmt.Sprintf("%v of %s goes", gone, now.Name))
		}
		for _, come := range without(now, old) {
			all = append(all, fmt.Sprintf("%v of %s comes", come, now.Name))
		}
		switch {
		case old.Interface != now.Interface:
			all = append(all, fmt.Sprintf("%s moves from %s to %s", now.Name, old.Interface, now.Interface))
		case old.VirtualRouterID != now.VirtualRouterID:
			all = append(all, fmt.Sprintf("%s has virtual_router_id %d instead of %d: nodes with different ones do not hear each other", now.Name, now.VirtualRouterID, old.VirtualRouterID))
		case old.Priority != now.Priority:
			all = append(all, fmt.Sprintf("%s has priority %d instead of %d", now.Name, now.Priority, old.Priority))
		}
	}
	for _, old := range before {
		if _, gone := was[old.Name]; gone {
			all = append(all, addresses(old, "goes")...)
		}
	}
	return all
}

// Parts reports whether a node with one keepalived.conf and a peer with the other would not hear each other, so that both would
// hold a VIP.
func Parts(before, after []byte) bool {
	was := keepalived.Read(before).Instances
	for _, now := range keepalived.Read(after).Instances {
		for _, old := range was {
			shares := slices.ContainsFunc(now.VIPs, func(v keepalived.VIP) bool {
				return slices.ContainsFunc(old.VIPs, func(o keepalived.VIP) bool { return o.Address.Addr() == v.Address.Addr() })
			})
			if (shares || old.Name == now.Name) && !now.Hears(old) {
				return true
			}
		}
	}
	return false
}

func byName(instances []keepalived.Instance) map[string]keepalived.Instance {
	m := map[string]keepalived.Instance{}
	for _, in := range instances {
		m[in.Name] = in
	}
	return m
}

func addresses(in keepalived.Instance, verb string) []string {
	var all []string
	for _, v := range in.VIPs {
		all = append(all, fmt.Sprintf("%v of %s %s", v.Address.Addr(), in.Name, verb))
	}
	return all
}

// without returns the addresses of a that b does not have.
func without(a, b keepalived.Instance) []netip.Addr {
	var out []netip.Addr
	for _, v := range a.VIPs {
		if !slices.ContainsFunc(b.VIPs, func(o keepalived.VIP) bool { return o.Address.Addr() == v.Address.Addr() && o.Interface == v.Interface }) {
			out = append(out, v.Address.Addr())
		}
	}
	return out
}
