package spec

import (
	"fmt"
	"maps"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// BondModes lists the modes of the kernel's bonding driver, with netplan's names.
func BondModes() []string {
	return []string{"active-backup", "802.3ad", "balance-xor", "balance-rr", "broadcast", "balance-tlb", "balance-alb"}
}

// bondParameters lists the parameters that netplan and cloud-init of every supported release accept by the same name
// (cloudinit's network_state.py, NET_CONFIG_TO_V2). Any other parameter makes cloud-init fail before the network is configured.
func bondParameters() []string {
	return []string{"ad-select", "down-delay", "fail-over-mac-policy", "gratuitous-arp", "lacp-rate", "mii-monitor-interval", "min-links",
		"primary", "primary-reselect-policy", "transmit-hash-policy", "up-delay"}
}

// macRule matches what cloud-init, netplan and systemd.link(5) all accept.
var macRule = regexp.MustCompile(`^[0-9a-f]{2}(:[0-9a-f]{2}){5}$`)

// describes validates an interface's name and description.
func (c check) describes(i Interface, path string) {
	name := path
	if c.Has(path + ".name") {
		name = path + ".name"
	}
	switch {
	case c.HasError(path) || c.HasError(name):
	case i.Name == "" && i.described():
		c.Problem(path+".name", "is missing", "")
	case c.name(name, i.Name, interfaceRule) && i.Name == "lo":
		c.Problem(name, "the loopback interface does not connect nodes", "name an interface of the machine's network")
	}
	kinds := slices.DeleteFunc([]string{"mac", "bond", "vlan"}, func(key string) bool { return !c.Has(path + "." + key) })
	if len(kinds) > 1 {
		c.Problem(path+"."+kinds[1], fmt.Sprintf("an interface has either %s or %s", kinds[0], kinds[1]), "give each interface its own entry in nodes[].interfaces")
		return
	}
	for _, key := range [][2]string{{"mode", "bond"}, {"parameters", "bond"}, {"link", "vlan"}} {
		if c.Has(path+"."+key[0]) && !c.Has(path+"."+key[1]) {
			c.Problem(path+"."+key[0], "has no effect without "+key[1], "")
		}
	}
	if c.written(path + ".mac") {
		c.hardwareAddress(i.MAC, path+".mac")
	}
	if c.written(path + ".bond") {
		c.bond(i, path)
	}
	if c.written(path + ".vlan") {
		c.vlan(i, path)
	}
}

func (c check) hardwareAddress(text, path string) {
	mac, err := net.ParseMAC(text)
	switch {
	case err != nil || !macRule.MatchString(text):
		c.Problem(path, quote(text)+" is not the MAC address of an Ethernet device", "write it as 52:54:00:a8:38:65")
	case mac[0]&1 != 0:
		c.Problem(path, text+" is a multicast address, which a device cannot have", "the first byte of a device's address is even, as in 52:54:00:a8:38:65")
	case text == "00:00:00:00:00:00":
		c.Problem(path, "a device cannot have the address "+text, "")
	}
}

func (c check) bond(i Interface, path string) {
	if len(i.Bond) == 0 {
		c.Problem(path+".bond", "a bond must have at least one member", "list the Ethernet devices, as in [ens1f0, ens1f1]")
	}
	for k, member := range i.Bond {
		p := fmt.Sprintf("%s.bond[%d]", path, k)
		if c.HasError(p) || !c.name(p, member, interfaceRule) {
			continue
		}
		if slices.Index(i.Bond, member) < k {
			c.Problem(p, quote(member)+" is listed twice", "")
		}
	}
	if c.written(path+".mode") && !slices.Contains(BondModes(), i.Mode) {
		c.Problem(path+".mode", quote(i.Mode)+" is not a mode of a bond", meant(i.Mode, BondModes()))
	}
	for _, key := range slices.Sorted(maps.Keys(i.Parameters)) {
		switch {
		case key == "mode":
			c.Problem(path+".parameters", "the mode has its own key", "write mode: beside bond:")
		case !slices.Contains(bondParameters(), key):
			c.Problem(path+".parameters", quote(key)+" is not a parameter of a bond", meant(key, bondParameters()))
		}
	}
}

func (c check) vlan(i Interface, path string) {
	if i.VLAN < 1 || i.VLAN > 4094 {
		c.Problem(path+".vlan", fmt.Sprintf("the VLAN id %d is out of range", i.VLAN), "VLAN ids go from 1 to 4094")
	}
	switch p := path + ".link"; {
	case !c.required(p) || !c.name(p, i.Link, interfaceRule):
	case i.Link == i.Name:
		c.Problem(p, "a VLAN cannot be its own link", "name the interface that carries it")
	}
}

// vipInterface validates the interface of a VIP, which is the same on every node.
func (c check) vipInterface(v *VIP, path string) {
	if !c.written(path) {
		return
	}
	c.describes(v.Device, path)
	if c.Has(path + ".mac") {
		c.Problem(path+".mac", "a MAC belongs to one machine, and the VIP to all nodes", "name the interface here, and write its MAC under interfaces: of each node")
		return
	}
	if v.Device.described() && len(c.s.Nodes) > 0 && !slices.ContainsFunc(c.s.Nodes, func(n Node) bool { return n.MakesNetwork() }) {
		c.hasEffect(&c.s.Nodes[0], "nodes[0]", path)
	}
}

// interfaces validates the descriptions of a node's interfaces, and the relations between them.
func (c check) interfaces(n *Node, path string) {
	where := map[string]string{} // an interface → the key that describes it
	note := func(i Interface, p string) {
		if !i.described() {
			return
		}
		first, ok := where[i.Name]
		if !ok {
			where[i.Name] = p
			return
		}
		if other := c.description(n, i.Name); !reflect.DeepEqual(other, i) {
			c.Problem(p, fmt.Sprintf("interface %s of node %s is described twice", quote(i.Name), quote(n.Name)),
				fmt.Sprintf("the other description is on line %d", c.Line(first)))
		}
	}
	if p := path + ".interface"; c.written(p) && n.Device.described() && c.hasEffect(n, path, p) {
		note(n.Device, p)
	}
	for k, i := range n.Interfaces {
		p := fmt.Sprintf("%s.interfaces[%d]", path, k)
		if c.HasError(p) {
			continue
		}
		c.describes(i, p)
		if c.hasEffect(n, path, p) {
			note(i, p)
		}
	}
	if !n.MakesNetwork() {
		return
	}
	for k := range c.s.VIPs {
		if p := fmt.Sprintf("vips[%d].interface", k); c.written(p) && !c.Has(p+".mac") {
			note(c.s.VIPs[k].Device, p)
		}
	}
	c.layers(n, path, where)
}

// description returns the interface with a name in the result of InterfacesOf.
func (c check) description(n *Node, name string) Interface {
	for _, i := range c.s.InterfacesOf(n) {
		if i.Name == name {
			return i
		}
	}
	return Interface{}
}

// layers validates how a node's bonds and VLANs use its other interfaces.
func (c check) layers(n *Node, path string, where map[string]string) {
	used := map[string]string{n.Interface: "has the node's address"}
	for i := range c.s.VIPs {
		if name := c.s.VIPs[i].InterfaceOn(n); used[name] == "" {
			used[name] = "has VIP " + quote(c.s.VIPs[i].Name)
		}
	}
	all := c.s.InterfacesOf(n)
	for _, i := range all {
		if i.IsVLAN() && used[i.Link] == "" {
			used[i.Link] = "carries VLAN " + quote(i.Name)
		}
	}
	for _, i := range all {
		p := where[i.Name]
		for k, member := range i.Bond {
			switch m := c.description(n, member); {
			case slices.Index(i.Bond, member) < k: // reported already
			case m.IsBond() || m.IsVLAN():
				c.Problem(p+".bond", fmt.Sprintf("%s is not an Ethernet device: it is described as a bond or a VLAN", quote(member)), "write such a network under nodes[].network")
			case used[member] != "":
				c.Problem(p+".bond", fmt.Sprintf("%s cannot be a member of %s: it %s", quote(member), quote(i.Name), used[member]), "use the bond instead of its member")
			default:
				used[member] = "is a member of " + quote(i.Name)
			}
		}
		if i.IsVLAN() && i.Link != i.Name && c.description(n, i.Link).IsVLAN() {
			c.Problem(p+".link", fmt.Sprintf("%s is a VLAN itself", quote(i.Link)), "write such a network under nodes[].network")
		}
		if !i.described() {
			c.looks(n, path, i.Name)
		}
	}
}

var (
	vlanName    = regexp.MustCompile(`^(?:(.+)\.|vlan)([0-9]{1,4})$`)
	virtualName = regexp.MustCompile(`^(?:(?:bond|br|bridge|team|wg|tun|tap|vxlan|dummy|veth|gre|vrf|macvlan|ipvlan|ovs|virbr|docker)[0-9]+|(?:br|ovs|docker|virbr)-.*)$`)
	kernelName  = regexp.MustCompile(`^eth[0-9]+$`)
)

// looks reports an interface without a description whose name is not one of an Ethernet device: network-config cannot create
// it.
func (c check) looks(n *Node, path, name string) {
	place := c.placeOfName(n, path, name)
	if c.HasError(place) {
		return // on another node
	}
	hint := ""
	switch v := vlanName.FindStringSubmatch(name); {
	case v != nil:
		link := v[1]
		if link == "" {
			link = "bond0"
		}
		id, _ := strconv.Atoi(v[2])
		hint = fmt.Sprintf("a VLAN is described as {name: %s, vlan: %d, link: %s}", name, id, link)
	case strings.HasPrefix(name, "bond") && virtualName.MatchString(name):
		hint = fmt.Sprintf("a bond is described as {name: %s, bond: [ens1f0, ens1f1], mode: 802.3ad}", name)
	case virtualName.MatchString(name):
		c.Problem(place, fmt.Sprintf("%s is not the name of an Ethernet device, and it is not described on node %s", quote(name), quote(n.Name)),
			"write the node's whole network under network:, as a network-config of version 2; for an Ethernet device of this name give its mac")
		return
	default:
		return
	}
	c.Problem(place, fmt.Sprintf("%s is not the name of an Ethernet device, and it is not described on node %s", quote(name), quote(n.Name)),
		hint+", under interfaces: of the node; or write the whole network under network:")
}

// placeOfName returns the key that names an interface on a node.
func (c check) placeOfName(n *Node, path, name string) string {
	if n.Interface == name {
		return path + ".interface"
	}
	for i := range c.s.VIPs {
		if c.s.VIPs[i].Interface == name {
			return fmt.Sprintf("vips[%d].interface", i)
		}
	}
	return path + ".interfaces"
}

// hardwareAddresses reports MACs that two interfaces have.
func (c check) hardwareAddresses() {
	seen := map[string]string{}
	note := func(i Interface, path string) {
		if i.MAC == "" || c.HasError(path+".mac") {
			return
		}
		first, twice := seen[i.MAC]
		if twice {
			c.Problem(path+".mac", fmt.Sprintf("two interfaces have the MAC %s", i.MAC), fmt.Sprintf("the other is on line %d", c.Line(first)))
			return
		}
		seen[i.MAC] = path + ".mac"
	}
	for i, n := range c.s.Nodes {
		note(n.Device, fmt.Sprintf("nodes[%d].interface", i))
		for k := range n.Interfaces {
			note(n.Interfaces[k], fmt.Sprintf("nodes[%d].interfaces[%d]", i, k))
		}
	}
}

// machineNames warns, once for each name, about interface names that a machine does not use by itself: neither Ubuntu nor
// Debian uses the kernel's own names (systemd.net-naming-scheme(7)). The warning is omitted if the spec has errors.
func (c check) machineNames() {
	if c.Problems().HasErrors() {
		return
	}
	told := map[string]bool{}
	for i := range c.s.Nodes {
		n := &c.s.Nodes[i]
		if !n.MakesNetwork() {
			continue
		}
		for _, iface := range c.s.InterfacesOf(n) {
			if iface.described() || told[iface.Name] || !kernelName.MatchString(iface.Name) {
				continue
			}
			told[iface.Name] = true
			c.Warning(c.placeOfName(n, fmt.Sprintf("nodes[%d]", i), iface.Name), fmt.Sprintf("the machine must name its interface %s by itself: Ubuntu and Debian use names such as ens3 and enp1s0", iface.Name),
				fmt.Sprintf("give its MAC, as in {name: %s, mac: 52:54:00:a8:38:65}: the machine then gets the name", iface.Name))
		}
	}
}
