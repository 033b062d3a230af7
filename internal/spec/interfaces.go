package spec

import (
	"path"
	"regexp"
	"slices"
)

// IsBond reports whether the interface is described as a bond.
func (i Interface) IsBond() bool { return len(i.Bond) > 0 }

// IsVLAN reports whether the interface is described as a VLAN.
func (i Interface) IsVLAN() bool { return i.VLAN != 0 }

// described reports whether the interface has more than a name.
func (i Interface) described() bool {
	return i.MAC != "" || i.Bond != nil || i.Mode != "" || i.Parameters != nil || i.VLAN != 0 || i.Link != ""
}

// MakesNetwork reports whether a network-config is generated for the node: it has no network key, and its address has a prefix
// length.
func (n *Node) MakesNetwork() bool {
	return n.Network == nil && slices.ContainsFunc(n.Addresses, func(a Address) bool { return a.Bits > 0 })
}

// InterfacesOf returns the interfaces of a node, each once: its own, the described ones, those of VIPs, members of bonds, and
// links of VLANs. An interface that is named in one place and described in another has its description.
func (s *Spec) InterfacesOf(n *Node) []Interface {
	var all []Interface
	add := func(i Interface) {
		switch k := slices.IndexFunc(all, func(have Interface) bool { return have.Name == i.Name }); {
		case i.Name == "":
		case k < 0:
			all = append(all, i)
		case !all[k].described():
			all[k] = i
		}
	}
	own := n.Device
	own.Name = n.Interface
	add(own)
	for _, i := range n.Interfaces {
		add(i)
	}
	for i := range s.VIPs {
		device := s.VIPs[i].Device
		device.Name = s.VIPs[i].InterfaceOn(n)
		add(device)
	}
	for k := 0; k < len(all); k++ { // the list grows
		for _, member := range all[k].Bond {
			add(Interface{Name: member})
		}
		add(Interface{Name: all[k].Link})
	}
	return all
}

// networkDevice is an entry of a network-config, version 2, in "ethernets", "bonds", "vlans" and so on.
type networkDevice struct {
	id     string
	config map[string]any
}

// networkDevices returns the entries of the node's network key that an interface may belong to: the entry with set-name and
// this name, or with this ID and no match. If there is none, it returns each entry whose match may apply to the interface.
func (n *Node) networkDevices(iface string) []networkDevice {
	var exact, possible []networkDevice
	for _, section := range n.Network {
		entries, _ := section.(map[string]any)
		for id, entry := range entries {
			config, ok := entry.(map[string]any)
			if !ok {
				continue
			}
			match, matches := config["match"].(map[string]any)
			name, named := match["name"].(string)
			fits, _ := path.Match(name, iface)
			setName, renames := config["set-name"].(string)
			switch d := (networkDevice{id, config}); {
			case renames && setName == iface, !renames && !matches && id == iface:
				exact = append(exact, d)
			case renames, !matches:
			case named && name == iface:
				exact = append(exact, d)
			case !named || fits:
				possible = append(possible, d)
			}
		}
	}
	if exact == nil {
		exact = possible
	}
	slices.SortFunc(exact, func(a, b networkDevice) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return exact
}

// fileID matches an ID that can be part of a file name.
var fileID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,63}$`)

// NetworkIDs returns the IDs of an interface in the node's network-config. netplan names its files after them. In a generated
// network-config the ID is the interface's name. In the user's own, an interface may have several IDs.
func (n *Node) NetworkIDs(iface string) []string {
	var ids []string
	for _, d := range n.networkDevices(iface) {
		if fileID.MatchString(d.id) {
			ids = append(ids, d.id)
		}
	}
	if ids == nil {
		ids = []string{iface}
	}
	return ids
}
