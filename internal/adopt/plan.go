package adopt

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// bindAddress is an address of a bind line.
type bindAddress struct {
	raw       string
	addr      netip.Addr // invalid: of every address, of both families if v6 is set
	v6        bool
	low, high int
	tcp       bool // an address of TCP that could be read
}

// readBind reads an address of a bind line.
func readBind(s string) bindAddress {
	b := bindAddress{raw: s}
	if kind, rest, ok := strings.Cut(s, "@"); ok {
		switch kind {
		case "ipv4", "tcp", "tcp4":
			s = rest
		case "ipv6", "tcp6":
			s, b.v6 = rest, true
		default:
			return b
		}
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasPrefix(s, "/") {
		return b
	}
	host, ports := strings.TrimSuffix(strings.TrimPrefix(s[:i], "["), "]"), s[i+1:]
	if host != "" && host != "*" {
		a, err := netip.ParseAddr(host)
		if err != nil {
			return b
		}
		if a.IsUnspecified() {
			b.v6 = a.Is6()
		} else {
			b.addr = a.Unmap()
		}
	}
	low, high, isRange := strings.Cut(ports, "-")
	if !isRange {
		high = low
	}
	var err1, err2 error
	b.low, err1 = strconv.Atoi(low)
	b.high, err2 = strconv.Atoi(high)
	b.tcp = err1 == nil && err2 == nil && b.low > 0 && b.high < 65536
	return b
}

// bindsOf are the bind lines of a proxy, address by address.
func bindsOf(p *section) []boundLine {
	var out []boundLine
	for i := range p.lines {
		l := &p.lines[i]
		if l.words[0] != "bind" || len(l.words) < 2 {
			continue
		}
		for _, s := range strings.Split(l.words[1], ",") {
			out = append(out, boundLine{readBind(s), l})
		}
	}
	return out
}

type boundLine struct {
	bindAddress
	line *line
}

// planVIPs finds the VIPs: those of keepalived's instances, cut into groups if services bind some of their addresses alone,
// or the addresses of bind lines if there is no keepalived.conf.
func (im *importer) planVIPs() {
	specific := map[netip.Addr][]string{} // who binds an address by itself
	var addresses []netip.Addr
	for _, p := range im.proxies {
		for _, b := range bindsOf(p) {
			if b.tcp && b.addr.IsValid() {
				if specific[b.addr] == nil {
					addresses = append(addresses, b.addr)
				}
				specific[b.addr] = append(specific[b.addr], fmt.Sprintf("%s %s:%d-%d", p.kind, p.name, b.low, b.high))
			}
		}
	}
	for _, text := range im.options.VIPs {
		name, address, _ := strings.Cut(text, "=")
		if prefix, err := netip.ParsePrefix(address); err == nil {
			im.vips = append(im.vips, &vip{name: name, addresses: []netip.Prefix{prefix}, first: true})
		}
	}
	conf := im.firstConf()
	for _, in := range conf.all("vrrp_instance") {
		im.critique(in)
		im.planInstance(in, specific)
	}
	if conf != nil {
		im.critiqueScripts(conf)
		im.planGroups(conf)
	}
	if len(im.vips) == 0 {
		im.vipsOfBinds(addresses)
	}
	if len(im.vips) == 0 {
		im.vips = []*vip{{name: "vip", addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}, first: true, guessed: true}}
		im.note(Missing, nil, "vips[0].address", "the virtual IP is not known: there is no keepalived.conf, and haproxy.cfg binds no address; the spec has the placeholder 192.0.2.10/24", "set it, or give --vip NAME=ADDRESS/PREFIX")
	}
	im.nameVIPs()
}

// planInstance makes VIPs of an instance: one, or one for each set of addresses that the same services bind.
func (im *importer) planInstance(in *block, specific map[netip.Addr][]string) {
	var order []string
	sets := map[string]*vip{}
	for _, e := range append(in.last("virtual_ipaddress").entriesOf(), in.last("virtual_ipaddress_excluded").entriesOf()...) {
		prefix, err := netip.ParsePrefix(e.word(0))
		if err != nil {
			a, err := netip.ParseAddr(e.word(0))
			if err != nil {
				im.noteBlock(Lost, e, "", fmt.Sprintf("the address %q is not understood", e.word(0)), "")
				continue
			}
			prefix = netip.PrefixFrom(a, a.BitLen())
		}
		if prefix.Addr().IsLinkLocalUnicast() && prefix.Addr().Is6() {
			im.noteBlock(Changed, e, "", fmt.Sprintf("the link-local address %s is left out", prefix.Addr()), "hapair's VIPs need none; clients that use it must use another address of the VIP")
			continue
		}
		dev := im.addressOptions(in, e)
		key := dev + " " + strings.Join(specific[prefix.Addr()], " ")
		v := sets[key]
		if v == nil {
			v = &vip{instance: in, iface: dev, first: len(order) == 0}
			sets[key] = v
			order = append(order, key)
		}
		if slices.Contains(v.addresses, prefix) {
			im.noteBlock(Wrong, e, "", fmt.Sprintf("the VIP %s is listed twice", prefix), "")
			continue
		}
		v.addresses = append(v.addresses, prefix)
	}
	if len(order) == 0 {
		hint := "hapair needs at least one address"
		if slices.ContainsFunc(in.entries, func(e *block) bool { return slices.Contains(hookKeys, e.word(0)) }) {
			hint = "its notify lines move an address by themselves, which a VIP with on_change does: give --vip NAME=ADDRESS/PREFIX, and write the command there"
		}
		im.noteBlock(Lost, in, "", fmt.Sprintf("instance %s has no virtual IP", in.word(1)), hint)
	}
	for _, key := range order {
		v := sets[key]
		if len(order) > 1 {
			v.group = groupName(in.word(1))
		}
		im.vips = append(im.vips, v)
	}
	if len(order) > 1 {
		im.noteBlock(Changed, in, "", fmt.Sprintf("instance %s is %d VIPs of one group: services bind its addresses one by one", in.word(1), len(order)), "they move together, as before")
	}
}

// addressOptions returns the interface of a virtual IP, and reports the options that hapair does not write.
func (im *importer) addressOptions(in, e *block) (dev string) {
	dev = in.last("interface").word(1)
	for i := 1; i < len(e.words); i++ {
		w := e.words[i]
		switch w {
		case "dev":
			if i++; i < len(e.words) {
				dev = e.words[i]
			}
			continue
		case "scope", "brd", "broadcast", "label", "peer", "preferred_lft":
			if i++; i < len(e.words) {
				w += " " + e.words[i]
			}
			if w == "scope global" {
				continue
			}
		}
		im.noteBlock(Changed, e, "", fmt.Sprintf("%s of the VIP %s is left out", w, e.word(0)), "hapair writes the address and its interface alone")
	}
	return dev
}

func groupName(s string) string { return strings.ToLower(hostName(s)) }

// planGroups takes the vrrp_sync_groups.
func (im *importer) planGroups(conf *block) {
	for _, g := range conf.all("vrrp_sync_group") {
		for _, m := range g.last("group").entriesOf() {
			for _, w := range m.words {
				for _, v := range im.vips {
					if v.instance != nil && v.instance.word(1) == w {
						v.group = groupName(g.word(1))
						if v.first && !slices.Contains(im.hooked, g) {
							im.hooked, v.more = append(im.hooked, g), g.entries
						}
					}
				}
			}
		}
	}
}

// vipsOfBinds makes a VIP of each address that haproxy binds, if there is no keepalived.conf.
func (im *importer) vipsOfBinds(addresses []netip.Addr) {
	for _, a := range addresses {
		if a.IsLoopback() || slices.ContainsFunc(im.pairs, func(p *pairNode) bool { return p.address.Addr() == a }) {
			continue
		}
		bits := 24
		if a.Is6() {
			bits = 64
		}
		im.vips = append(im.vips, &vip{addresses: []netip.Prefix{netip.PrefixFrom(a, bits)}, first: true, guessed: true})
		im.note(Missing, nil, "vips", fmt.Sprintf("there is no keepalived.conf: %s, which haproxy binds, is taken for a virtual IP, with the prefix /%d", a, bits), "correct the prefix, or give --vip NAME=ADDRESS/PREFIX")
	}
}

// nameVIPs names the VIPs after their instances.
func (im *importer) nameVIPs() {
	taken := map[string]bool{}
	for _, v := range im.vips {
		if v.name == "" {
			v.name = "vip"
			if v.instance != nil {
				name := strings.ToLower(hostName(v.instance.word(1)))
				name = strings.TrimPrefix(name, "vi-")
				if name != "" && strings.Trim(name, "0123456789") == "" {
					name = "vip" + name
				}
				if name != "" {
					v.name = name
				}
			}
		}
		base := v.name
		for n := 2; taken[v.name]; n++ {
			v.name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[v.name] = true
		if v.iface == "" && len(im.pairs) > 0 {
			v.iface = im.pairs[0].iface
		}
		im.prefer(v)
	}
}

// prefer finds the node with the highest priority for a VIP.
func (im *importer) prefer(v *vip) {
	if v.instance == nil {
		return
	}
	best := -1
	for _, p := range im.pairs {
		if pr := p.priority[v.instance.word(1)]; pr > best {
			best, v.prefer = pr, p.name
		}
	}
	if v.prefer == im.pairs[0].name {
		v.prefer = ""
	}
	// A file alone with state BACKUP and no more than keepalived's own priority is that of the second node, unless both have it.
	backup := strings.ToUpper(v.instance.last("state").word(1)) == "BACKUP" && v.instance.last("nopreempt") == nil && best <= 100
	if backup && len(im.nodes) == 1 && len(im.pairs) > 1 {
		v.prefer = im.pairs[1].name
	}
}

// place is a port of a VIP.
type place struct {
	vip       *vip
	low, high int
}

// where returns the VIPs' ports that an address of a bind line takes; none if it is not of a VIP.
func (im *importer) where(p *section, b bindAddress) []place {
	if !b.tcp {
		return nil
	}
	var out []place
	if b.addr.IsValid() {
		for _, v := range im.vips {
			if v.has(b.addr) {
				out = append(out, place{v, b.low, b.high})
			}
		}
		return out
	}
	for _, v := range im.vips {
		if !im.takenBySpecific(v, b) {
			out = append(out, place{v, b.low, b.high})
		}
	}
	return out
}

// takenBySpecific reports whether a bind line names an address of a VIP with a port of a wildcard: the kernel prefers it.
func (im *importer) takenBySpecific(v *vip, w bindAddress) bool {
	for _, p := range im.proxies {
		for _, b := range bindsOf(p) {
			if b.tcp && b.addr.IsValid() && v.has(b.addr) && b.low <= w.high && w.low <= b.high {
				return true
			}
		}
	}
	return false
}
