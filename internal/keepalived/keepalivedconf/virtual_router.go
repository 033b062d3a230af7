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
	// Addresses are advertised: the VIP's first one of the instance's family. keepalived drops an advertisement with other
	// addresses than its own, so that a node which gets one more than its peer would not hear it any more.
	Addresses []netip.Prefix
	// Excluded are all others of both families: they move along, but are not advertised (keepalived.conf(5),
	// virtual_ipaddress_excluded).
	Excluded []netip.Prefix
}

// NewVirtualRouter is the same for a VIP on every node.
func NewVirtualRouter(s *spec.Spec, vip *spec.VIP) (VirtualRouter, error) {
	out := VirtualRouter{Name: InstanceName(vip), VirtualRouterID: vip.VirtualRouterID}
	var ok bool
	if out.Family, ok = s.VRRPFamily(vip); !ok {
		return out, fmt.Errorf("no address of VIP %s is of a family in which all nodes have an address", vip.Name)
	}
	for _, a := range vip.Addresses {
		if len(out.Addresses) == 0 && spec.FamilyOf(a.Addr) == out.Family {
			out.Addresses = append(out.Addresses, a.Prefix())
		} else {
			out.Excluded = append(out.Excluded, a.Prefix())
		}
	}
	return out, nil
}

// InstanceName is the name of a VIP's vrrp_instance.
func InstanceName(vip *spec.VIP) string { return "VI_" + vip.Name }
