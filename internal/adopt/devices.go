package adopt

import (
	"regexp"
	"slices"
	"strconv"
)

// vlanName matches the usual name of a VLAN: that of its link, and its ID.
var vlanName = regexp.MustCompile(`^([A-Za-z0-9_-]+)\.([1-9][0-9]{0,3})$`)

// device returns an interface as the spec takes it: its name, or the description of a VLAN. A description needs the prefixes of the
// nodes' addresses: without them, the nodes' platform configures the interfaces.
func (im *importer) device(name string) any {
	match := vlanName.FindStringSubmatch(name)
	if match == nil || slices.ContainsFunc(im.pairs, func(p *pairNode) bool { return p.address.IsSingleIP() }) {
		return name
	}
	id, err := strconv.Atoi(match[2])
	if err != nil {
		return name
	}
	m := newMapping().flow()
	m.set("name", name)
	m.set("vlan", id)
	m.set("link", match[1])
	return m
}

// vipDevice returns the interface of a VIP. One that a node or an earlier VIP describes is a name.
func (im *importer) vipDevice(name string) any {
	if slices.Contains(im.described, name) || slices.ContainsFunc(im.pairs, func(p *pairNode) bool { return p.iface == name }) {
		return name
	}
	im.described = append(im.described, name)
	return im.device(name)
}

// routeDevices returns the interfaces of routes that a node has beside its own and those of VIPs.
func (im *importer) routeDevices(p *pairNode) []mapping {
	var out []mapping
	var seen []string
	for _, name := range im.devices {
		if name == p.iface || slices.Contains(seen, name) || slices.Contains(im.described, name) {
			continue
		}
		seen = append(seen, name)
		if m, ok := im.device(name).(mapping); ok {
			out = append(out, m)
			continue
		}
		m := newMapping().flow()
		m.set("name", name)
		out = append(out, m)
	}
	return out
}
