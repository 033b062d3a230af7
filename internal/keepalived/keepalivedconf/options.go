package keepalivedconf

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/hapair/hapair/internal/spec"
)

// script is a vrrp_script of the spec.
type script struct {
	Path              string // in the spec
	Name, Command     string
	User              string // empty: the user in script_user
	Interval, Timeout string // seconds
	Rise, Fall        int
	Weight            int
}

// seconds returns a duration in keepalived's format.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// scriptName returns a unique name: names of VIPs and scripts contain no ":".
func scriptName(vip *spec.VIP, t *spec.TrackScript) string { return vip.Name + ":" + t.Name }

func scripts(s *spec.Spec) []script {
	var all []script
	for i := range s.VIPs {
		for j := range s.VIPs[i].TrackScripts {
			t := &s.VIPs[i].TrackScripts[j]
			all = append(all, script{Path: fmt.Sprintf("vips[%d].track_scripts[%d]", i, j), Name: scriptName(&s.VIPs[i], t), Command: t.Command,
				User: t.User, Interval: seconds(t.Interval), Timeout: seconds(t.Timeout), Rise: t.Rise, Fall: t.Fall, Weight: t.Weight})
		}
	}
	return all
}

// scriptsOf returns the names of the scripts that apply to a VIP: those of all VIPs of its group, because the priorities in a
// group must be equal.
func scriptsOf(s *spec.Spec, vip *spec.VIP) []string {
	var names []string
	for _, v := range s.MovesWith(vip) {
		for j := range v.TrackScripts {
			names = append(names, scriptName(v, &v.TrackScripts[j]))
		}
	}
	return names
}

// group is a vrrp_sync_group of the spec.
type group struct {
	Path    string // of the group's first VIP in the spec
	Name    string
	Members []string
}

func groups(s *spec.Spec) []group {
	var all []group
	for _, name := range s.Groups() {
		g := group{Name: name}
		for i := range s.VIPs {
			if s.VIPs[i].Group != name {
				continue
			}
			if len(g.Members) == 0 {
				g.Path = fmt.Sprintf("vips[%d].group", i)
			}
			g.Members = append(g.Members, InstanceName(&s.VIPs[i]))
		}
		all = append(all, g)
	}
	return all
}

// route is a line of virtual_routes.
type route struct {
	To            netip.Prefix
	Via           netip.Addr // invalid: the destination is on the link
	Interface     string
	Table, Metric int // 0: the kernel's default
}

// rule is a line of virtual_rules: packets from an address use a separate routing table.
type rule struct {
	From            netip.Prefix
	Table, Priority int
}

// firstTable is added to a virtual_router_id for the number of a VIP's routing table and the priority of its rules, which come
// before the main table (ip-rule(8): priority 32766).
const firstTable = 10000

// policy returns the routes and rules of a VIP: its own, and those that send its replies through its interface.
func policy(vip *spec.VIP, device string) ([]route, []rule) {
	var routes []route
	var rules []rule
	table := firstTable + vip.VirtualRouterID
	for _, a := range vip.Addresses {
		gateway := vip.GatewayOf(spec.FamilyOf(a.Addr))
		if !gateway.IsValid() {
			continue
		}
		link := route{To: a.Prefix().Masked(), Interface: device, Table: table}
		if !link.To.IsSingleIP() && !slices.Contains(routes, link) {
			routes = append(routes, link)
		}
		out := route{To: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Via: gateway, Interface: device, Table: table}
		if gateway.Is6() {
			out.To = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		if !slices.Contains(routes, out) {
			routes = append(routes, out)
		}
		rules = append(rules, rule{netip.PrefixFrom(a.Addr, a.Addr.BitLen()), table, table})
	}
	for _, r := range vip.Routes {
		own := route{To: r.To, Via: r.Via, Interface: r.Interface, Table: r.Table, Metric: r.Metric}
		if own.Interface == "" {
			own.Interface = device
		}
		routes = append(routes, own)
	}
	return routes, rules
}
