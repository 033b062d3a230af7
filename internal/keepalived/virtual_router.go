package keepalived

import (
	"fmt"
	"net/netip"

	"github.com/hapair/hapair/internal/spec"
)

// VirtualRouter is what a vrrp_instance stands for: the part of a VIP that one election decides on.
type VirtualRouter struct {
	Name            string // VI_public
	VirtualRouterID int
	Family          spec.Family // in which VRRP is spoken
	// Addresses are advertised; they are of the instance's family.
	Addresses []netip.Prefix
	// Excluded are moved with them, but not advertised: they may be of the other family (keepalived.conf(5),
	// virtual_ipaddress_excluded).
	Excluded []netip.Prefix
}

// VirtualRouters are the vrrp_instances of a VIP, the same on every node. A VIP of both families is one instance, of a family
// that all nodes speak, unless the spec gave it a second virtual router id.
func VirtualRouters(s *spec.Spec, vip *spec.VIP) ([]VirtualRouter, error) {
	var own, other []netip.Prefix
	f, err := family(s, vip)
	if err != nil {
		return nil, err
	}
	for _, a := range vip.Addresses {
		if spec.FamilyOf(a.Addr) == f {
			own = append(own, a.Prefix())
		} else {
			other = append(other, a.Prefix())
		}
	}
	first := VirtualRouter{Name: "VI_" + vip.Name, VirtualRouterID: vip.VirtualRouterID, Family: f, Addresses: own}
	if len(other) == 0 {
		return []VirtualRouter{first}, nil
	}
	if vip.SecondRouterID == 0 {
		first.Excluded = other
		return []VirtualRouter{first}, nil
	}
	second := VirtualRouter{Name: first.Name + "_v6", VirtualRouterID: vip.SecondRouterID, Family: spec.IPv6, Addresses: other}
	if f == spec.IPv6 {
		second.Name, second.Family = first.Name+"_v4", spec.IPv4
	}
	return []VirtualRouter{first, second}, nil
}

// family chooses the family of a VIP's first instance: the first of the VIP's that every node speaks. Under multicast
// VRRP over IPv6 needs no address but the link-local one, which every interface has.
func family(s *spec.Spec, vip *spec.VIP) (spec.Family, error) {
	for _, a := range vip.Addresses {
		f := spec.FamilyOf(a.Addr)
		if speaks(s, f) || (f == spec.IPv6 && s.VRRP.Transport == spec.Multicast) {
			return f, nil
		}
	}
	return 0, fmt.Errorf("no address of VIP %s is of a family in which all nodes have an address", vip.Name)
}

func speaks(s *spec.Spec, f spec.Family) bool {
	for i := range s.Nodes {
		if !s.Nodes[i].Addr(f).IsValid() {
			return false
		}
	}
	return true
}
