package lab

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// network is a bridge in the hub.
type network struct {
	bridge *netlink.Bridge
}

// Interface is a network interface of a host, and the network to which its cable leads. A network is created when it is
// first named.
type Interface struct {
	Name    string
	Network string
}

func (l *Lab) network(name string) (*network, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.networks[name]; n != nil {
		return n, nil
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = fmt.Sprintf("br%d", len(l.networks))
	// A bridge without a fixed hardware address uses the lowest one of its ports, which changes as hosts come and go.
	// Machines that know an address of the lab itself would then have a stale neighbour entry for half a minute.
	attrs.HardwareAddr = net.HardwareAddr{0x02, 0, 0, 0, 0, byte(len(l.networks))} // 02: locally administered
	// Without a querier, snooping would drop multicast after a while.
	snooping := false
	n := &network{&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}}
	if err := l.links.LinkAdd(n.bridge); err != nil {
		return nil, fmt.Errorf("cannot make the network %s: %w", name, err)
	}
	if err := setLink(l.links, attrs.Name, true); err != nil {
		return nil, err
	}
	l.networks[name] = n
	return n, nil
}

// AddAddress gives the lab itself an address on a network, for servers that all hosts use.
func (l *Lab) AddAddress(networkName string, prefix netip.Prefix) error {
	n, err := l.network(networkName)
	if err != nil {
		return err
	}
	return addAddress(l.links, n.bridge.Name, prefix)
}

// newPort returns a name for the hub's end of a cable.
func (l *Lab) newPort() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ports++
	return fmt.Sprintf("port%d", l.ports)
}

// join makes an interface of the hub a port of a network.
func (l *Lab) join(port, networkName string) error {
	n, err := l.network(networkName)
	if err != nil {
		return err
	}
	link, err := l.links.LinkByName(port)
	if err == nil {
		err = l.links.LinkSetMaster(link, n.bridge)
	}
	if err != nil {
		return fmt.Errorf("cannot join %s to the network %s: %w", port, networkName, err)
	}
	return nil
}

// leave removes an interface of the hub from its network. The cable stays up.
func (l *Lab) leave(port string) error {
	link, err := l.links.LinkByName(port)
	if err == nil {
		err = l.links.LinkSetNoMaster(link)
	}
	if err != nil {
		return fmt.Errorf("cannot remove %s from its network: %w", port, err)
	}
	return nil
}

// plug creates an interface in a network namespace of the lab, and connects it to its network.
func (l *Lab) plug(netnsName string, iface Interface) error {
	ns, err := netns.GetFromPath(l.netnsPath(netnsName))
	if err != nil {
		return fmt.Errorf("cannot open the network namespace of %s: %w", netnsName, err)
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = l.newPort()
	if err := l.links.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: iface.Name, PeerNamespace: netlink.NsFd(ns)}); err != nil {
		return fmt.Errorf("cannot make interface %s of %s: %w", iface.Name, netnsName, err)
	}
	if err := l.join(attrs.Name, iface.Network); err != nil {
		return err
	}
	return setLink(l.links, attrs.Name, true)
}
