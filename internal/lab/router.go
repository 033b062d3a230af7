package lab

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
)

// Leg is an address of a router on one of its networks.
type Leg struct {
	Network string
	Address netip.Prefix
}

// AddRouter adds a machine without an operating system that forwards between networks.
func (l *Lab) AddRouter(ctx context.Context, name string, legs ...Leg) error {
	c := &Client{name: "router-" + name, lab: l}
	err := l.newNetns(ctx, c.name)
	for i, leg := range legs {
		if err == nil {
			err = l.plug(c.name, Interface{fmt.Sprintf("eth%d", i), leg.Network})
		}
	}
	if err == nil {
		err = c.setUpRouter(legs)
	}
	if err != nil {
		return fmt.Errorf("cannot add router %s: %w", name, err)
	}
	return nil
}

func (c *Client) setUpRouter(legs []Leg) error {
	h, err := linksOf(c.lab.netnsPath(c.name))
	if err != nil {
		return err
	}
	defer h.Close()
	for i, leg := range legs {
		name := fmt.Sprintf("eth%d", i)
		if err := cmp.Or(setLink(h, name, true), addAddress(h, name, leg.Address)); err != nil {
			return err
		}
	}
	return withinNet(c.lab.netnsPath(c.name), func() error {
		return cmp.Or(os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1\n"), 0), os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1\n"), 0))
	})
}

// RouteVia makes a router the client's default gateway for its address family.
func (c *Client) RouteVia(gateway netip.Addr) error {
	h, err := linksOf(c.lab.netnsPath(c.name))
	if err != nil {
		return err
	}
	defer h.Close()
	all := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	if gateway.Is6() {
		all = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	if err := h.RouteAdd(&netlink.Route{Dst: all, Gw: gateway.AsSlice()}); err != nil {
		return fmt.Errorf("cannot give client %s the gateway %v: %w", c.name, gateway, err)
	}
	return nil
}
