package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/release"
)

// commandRule is the rule for a command that keepalived or the agent runs. keepalived interprets other characters, even in
// quotes (keepalived.conf(5), "Configuration file syntax").
var commandRule = newRule(`/[A-Za-z0-9._+/-]+( [A-Za-z0-9._+@/:=,%-]+)*`, 1024,
	`an absolute path, and arguments of letters, digits and "._+@/:=,%-" that are separated by single spaces`)

// vipOptions validates a VIP's keys other than its addresses.
func (c check) vipOptions(i int, v *VIP, path string) {
	if c.written(path + ".group") {
		c.name(path+".group", v.Group, nameRule)
	}
	c.preemptDelay(v, path+".preempt_delay")
	c.vipGateways(i, v, path+".gateway")
	for j := range v.Routes {
		c.vipRoute(&v.Routes[j], fmt.Sprintf("%s.routes[%d]", path, j))
	}
	names := map[string]string{}
	for j := range v.TrackScripts {
		c.trackScript(names, &v.TrackScripts[j], fmt.Sprintf("%s.track_scripts[%d]", path, j))
	}
	c.onChange(v.OnChange, path+".on_change")
	c.vipLines(v.Lines, path+".lines")
}

// preemptDelay validates the delay. keepalived accepts up to 1000s, and not together with nopreempt.
func (c check) preemptDelay(v *VIP, path string) {
	const most = 1000 * time.Second
	switch {
	case !c.written(path):
	case v.PreemptDelay <= 0 || v.PreemptDelay > most:
		c.Problem(path, fmt.Sprintf("%s is out of range", v.PreemptDelay), "must be more than 0s and at most 1000s")
	case !c.s.VRRP.Preempt && !c.HasError("vrrp.preempt"):
		c.Problem(path, "has no effect without vrrp.preempt", "set vrrp.preempt: true, so that VIPs return to the nodes that they prefer")
	}
}

// vipGateways validates the routers of a VIP's own subnets.
func (c check) vipGateways(i int, v *VIP, path string) {
	for k, g := range v.Gateway {
		p := c.addressPath(path, k)
		if !g.IsValid() || c.HasError(p) || c.HasError(path) || !c.usable(p, g, false) {
			continue
		}
		if k > 1 || k == 1 && FamilyOf(v.Gateway[0]) == FamilyOf(g) {
			c.Problem(p, "more than one gateway of the same address family", "one, or one of each family")
			continue
		}
		own, inside := false, false
		for _, a := range v.Addresses {
			own = own || a.Addr == g
			inside = inside || a.Addr.IsValid() && a.Bits > 0 && a.Prefix().Masked().Contains(g)
		}
		switch {
		case own:
			c.Problem(p, "the gateway is the VIP itself", "")
		case !inside:
			c.Problem(p, fmt.Sprintf("the gateway %s is not in a subnet of the VIP", g), "write the VIP's address with the prefix of its subnet, as in 192.0.2.1/24")
		}
	}
	if !c.written(path) || c.HasError(path) {
		return
	}
	for j := range c.s.VIPs[:i] {
		if other := &c.s.VIPs[j]; v.VirtualRouterID != 0 && other.VirtualRouterID == v.VirtualRouterID && len(other.Gateway) > 0 {
			c.Problem(path, fmt.Sprintf("VIP %s has a gateway and the virtual_router_id %d too", quote(other.Name), v.VirtualRouterID),
				"the number of the routing table derives from virtual_router_id: give them different ones")
		}
	}
}

func (c check) vipRoute(r *VIPRoute, path string) {
	const most = 1<<32 - 1
	if c.required(path+".to") && r.To.IsValid() && r.To != r.To.Masked() {
		c.Problem(path+".to", fmt.Sprintf("%s is an address in a network", r.To), "write the network: "+r.To.Masked().String())
	}
	if p := path + ".via"; c.written(p) && c.viaUsable(p, r.Via) && r.To.IsValid() && FamilyOf(r.Via) != FamilyOf(r.To.Addr()) {
		c.Problem(p, fmt.Sprintf("%s is of another family than %s", r.Via, r.To), "")
	}
	if p := path + ".interface"; c.written(p) && c.name(p, r.Interface, interfaceRule) {
		c.routeInterface(r.Interface, p)
	}
	for _, number := range []struct {
		path  string
		value int
	}{{path + ".table", r.Table}, {path + ".metric", r.Metric}} {
		if c.written(number.path) && (number.value < 1 || number.value > most) {
			c.Problem(number.path, fmt.Sprintf("%d is out of range", number.value), fmt.Sprintf("must be 1 to %d", most))
		}
	}
}

// routeInterface checks that every node with a generated network-config has an interface.
func (c check) routeInterface(name, path string) {
	for i := range c.s.Nodes {
		n := &c.s.Nodes[i]
		if n.MakesNetwork() && !slices.ContainsFunc(c.s.InterfacesOf(n), func(i Interface) bool { return i.Name == name }) {
			c.Problem(path, fmt.Sprintf("node %s has no interface %s", quote(n.Name), name), "list it in interfaces of the node")
			return
		}
	}
}

// viaUsable reports whether an address can be a router's. A link-local address can, because the interface is known.
func (c check) viaUsable(path string, a netip.Addr) bool {
	return a.Is6() && a.IsLinkLocalUnicast() && a.Zone() == "" || c.usable(path, a, false)
}

func (c check) trackScript(names map[string]string, t *TrackScript, path string) {
	if c.HasError(path) {
		return
	}
	if c.required(path+".name") && c.name(path+".name", t.Name, nameRule) {
		c.unique(names, path+".name", t.Name, "track scripts")
	}
	if c.required(path + ".command") {
		c.command(path+".command", t.Command)
	}
	if c.written(path + ".user") {
		c.name(path+".user", t.User, loginRule)
	}
	c.scriptTimes(t, path)
	for _, count := range []struct {
		path  string
		value int
	}{{path + ".rise", t.Rise}, {path + ".fall", t.Fall}} {
		if c.written(count.path) && (count.value < 1 || count.value > 1000) {
			c.Problem(count.path, fmt.Sprintf("%d is out of range", count.value), "must be 1 to 1000")
		}
	}
	switch p := path + ".weight"; {
	case !c.written(p):
	case t.Weight < -253 || t.Weight > 253:
		c.Problem(p, fmt.Sprintf("%d is out of range", t.Weight), "must be -253 to 253")
	case t.Weight != 0 && !c.s.VRRP.Preempt && !c.HasError("vrrp.preempt"):
		c.Problem(p, "has no effect without vrrp.preempt: a VIP does not move because of priorities",
			"leave it out, so that a node gives up the VIP when the script fails, or set vrrp.preempt: true")
	}
}

// scriptTimes validates interval and timeout. keepalived accepts fractions of a second since version 2.3.2.
func (c check) scriptTimes(t *TrackScript, path string) {
	const most = 1000 * time.Second
	r, err := release.Get(c.s.Image.Release)
	for _, d := range []struct {
		path  string
		value time.Duration
	}{{path + ".interval", t.Interval}, {path + ".timeout", t.Timeout}} {
		switch {
		case !c.written(d.path):
		case d.value < time.Millisecond || d.value > most || d.value%time.Millisecond != 0:
			c.Problem(d.path, fmt.Sprintf("%s is out of range", d.value), "must be 1ms to 1000s, in steps of 1ms")
		case err == nil && d.value%time.Second != 0 && !r.Keepalived.AtLeast(2, 3, 2):
			c.Problem(d.path, fmt.Sprintf("keepalived %s of %s accepts only whole seconds", r.Keepalived, r.Name),
				"fractions need keepalived 2.3.2: "+strings.Join(withKeepalived(2, 3, 2), " and "))
		}
	}
	if p := path + ".timeout"; c.written(p) && !c.HasError(path+".interval") && t.Timeout > t.Interval {
		c.Problem(p, fmt.Sprintf("%s is longer than the interval of %s", t.Timeout, t.Interval), "")
	}
}

// withKeepalived returns the names of the releases with a minimum version of keepalived.
func withKeepalived(major, minor, patch int) []string {
	var names []string
	for _, r := range release.All() {
		if r.Keepalived.AtLeast(major, minor, patch) {
			names = append(names, r.Name)
		}
	}
	return names
}

func (c check) command(path, command string) {
	if !commandRule.accepts(command) {
		c.Problem(path, quote(command)+" is not a valid command", commandRule.hint)
		return
	}
	program, _, _ := strings.Cut(command, " ")
	if message, hint := checkPath(program); message != "" {
		c.Problem(path, message, hint)
	}
}

func (c check) onChange(o *OnChange, path string) {
	if o == nil || c.HasError(path) {
		return
	}
	p := path + ".command"
	if !c.Has(p) && o.Command != "" {
		p = path // it is not a list
	}
	if p == path || c.required(p) {
		c.command(p, o.Command)
	}
	if p := path + ".user"; c.written(p) {
		c.name(p, o.User, loginRule)
	}
	if p := path + ".timeout"; c.written(p) && (o.Timeout < time.Second || o.Timeout > 5*time.Minute) {
		c.Problem(p, fmt.Sprintf("%s is out of range", o.Timeout), "must be 1s to 5m")
	}
}

// vipLines validates lines of a vrrp_instance: they must not close its block.
func (c check) vipLines(text, path string) {
	if strings.ContainsRune(text, 0) {
		c.Problem(path, "contains a NUL character", "")
		return
	}
	if line, what := unbalanced(text); line > 0 {
		c.Problem(path, fmt.Sprintf("line %d: %s", line, what), "the lines are inside the VIP's vrrp_instance")
	}
}

// unbalanced returns the line, from 1, of the first brace in lines of keepalived.conf that has no counterpart, and a
// description. A comment begins with # or !, and a quoted brace is text.
func unbalanced(text string) (line int, what string) {
	var open []int
	number := 0
	for l := range strings.Lines(text) {
		number++
		quoted, word := false, false
		for _, r := range l {
			if !quoted && !word && (r == '#' || r == '!') {
				break
			}
			word = r != ' ' && r != '\t' && r != '{' && r != '}'
			switch {
			case r == '"':
				quoted = !quoted
			case quoted:
			case r == '{':
				open = append(open, number)
			case r == '}' && len(open) == 0:
				return number, "this } has no counterpart"
			case r == '}':
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) > 0 {
		return open[len(open)-1], "the block that begins here is not closed"
	}
	return 0, ""
}

// vipGroups validates that the VIPs of a group can move together.
func (c check) vipGroups() {
	first := map[string]int{}
	for i := range c.s.VIPs {
		v, path := &c.s.VIPs[i], fmt.Sprintf("vips[%d]", i)
		c.priorities(v, path)
		if c.HasError(path) || !c.written(path+".group") {
			continue
		}
		j, ok := first[v.Group]
		if !ok {
			first[v.Group] = i
			if len(c.s.Group(v.Group)) == 1 {
				c.Warning(path+".group", "has no effect: no other VIP is in the group "+quote(v.Group), "give the same group to the VIPs that move with it")
			}
			continue
		}
		other := &c.s.VIPs[j]
		if c.s.preferred(v) != c.s.preferred(other) {
			c.Problem(c.either(path+".prefer", path+".group"), fmt.Sprintf("VIP %s of the same group prefers node %s", quote(other.Name), quote(c.s.preferred(other))),
				"all VIPs of a group must prefer the same node")
		}
		if v.PreemptDelay != other.PreemptDelay {
			c.Problem(c.either(path+".preempt_delay", path+".group"), fmt.Sprintf("VIP %s of the same group has another preempt_delay", quote(other.Name)),
				"all VIPs of a group must have the same preempt_delay")
		}
	}
}

// priorities checks that the weights of track scripts leave a valid and distinct priority.
func (c check) priorities(v *VIP, path string) {
	if lowest := c.s.LowestPriority(v); lowest < 1 && len(v.TrackScripts) > 0 && !c.HasError(path+".track_scripts") {
		c.Problem(path+".track_scripts", fmt.Sprintf("the weights can lower a node's priority to %d", lowest),
			"keepalived's lowest priority is 1: use smaller weights")
	}
}

// preferred returns the name of the node with the highest priority for a VIP.
func (s *Spec) preferred(v *VIP) string {
	if v.Prefer != "" || len(s.Nodes) == 0 {
		return v.Prefer
	}
	return s.Nodes[0].Name
}

// either returns the first path if that key was given, otherwise the second.
func (c check) either(path, other string) string {
	if c.Has(path) {
		return path
	}
	return other
}
