package keepalivedconf

import (
	"fmt"
	"net/netip"

	"github.com/hapair/hapair/internal/spec"
)

// VirtualRouter is what a vrrp_instance stands for: a VIP on which one election decides.
type VirtualRouter struct {
	Name            string // VI_public
	VirtualRouterID int
	Family          spec.Family // in which VRRP is spoken
	// Addresses are advertised; they are of the instance's family.
	Addresses []netip.Prefix
	// Excluded are of the other family: they move along, but are not advertised (keepalived.conf(5),
	// virtual_ipaddress_excluded).
	Excluded []netip.Prefix
}

// NewVirtualRouter is the same for a VIP on every node.
func NewVirtualRouter(s *spec.Spec, vip *spec.VIP) (VirtualRouter, error) {
	out := VirtualRouter{Name: "VI_" + vip.Name, VirtualRouterID: vip.VirtualRouterID}
	var ok bool
	if out.Family, ok = s.VRRPFamily(vip); !ok {
		return out, fmt.Errorf("no address of VIP %s is of a family in which all nodes have an address", vip.Name)
	}
	for _, a := range vip.Addresses {
		if spec.FamilyOf(a.Addr) == out.Family {
			out.Addresses = append(out.Addresses, a.Prefix())
		} else {
			out.Excluded = append(out.Excluded, a.Prefix())
		}
	}
	return out, nil
}
