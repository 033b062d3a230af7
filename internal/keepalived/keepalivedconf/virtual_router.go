package keepalivedconf

import (
	"fmt"
	"net/netip"

	"github.com/hapair/hapair/internal/spec"
)

// VirtualRouter is the content of a vrrp_instance: a VIP that moves by its own election.
type VirtualRouter struct {
	Name            string // VI_public
	VirtualRouterID int
	Family          spec.Family // the address family of its VRRP
	// Addresses are in the advertisements: only the VIP's first one of the instance's family. keepalived drops an advertisement
	// with other addresses than its own, so during a change of the list two nodes would not hear each other.
	Addresses []netip.Prefix
	// Excluded are all other addresses of both families: they move too, but are not in advertisements (keepalived.conf(5),
	// virtual_ipaddress_excluded).
	Excluded []netip.Prefix
}

// NewVirtualRouter returns the virtual router of a VIP, which is the same on every node.
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

// InstanceName returns the name of a VIP's vrrp_instance.
func InstanceName(vip *spec.VIP) string { return "VI_" + vip.Name }
