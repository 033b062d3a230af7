package keepalived

import (
	"net/netip"
	"slices"
	"strconv"
)

// Transport is how an instance sends advertisements, and the properties that must be equal on its peers.
type Transport struct {
	Version int          // of VRRP: 2 or 3
	Source  netip.Addr   // unicast_src_ip or mcast_src_ip; invalid: an address of the interface
	Peers   []netip.Addr // unicast_peer; empty: multicast
	// TTL is unicast_ttl, the hop limit of unicast advertisements. 0: not set, so 255 over IPv4, and the kernel's own
	// default, usually 64, over IPv6 (vrrp_send_adv of keepalived 2.2.4 to 2.4.3).
	TTL int
	// Group4 and Group6 are the multicast groups.
	Group4, Group6 netip.Addr
	// AuthType is PASS or AH, of version 2; empty: none. AuthPass is a secret.
	AuthType, AuthPass string
	IPv6               bool // VRRP runs over IPv6
	// OwnMAC: the instance has its own interface and MAC address (use_vmac).
	OwnMAC bool
}

// Hears reports whether nodes with two versions of an instance hear each other: all that keepalived compares in an advertisement
// before it takes it is the same (vrrp_check_packet).
func (in Instance) Hears(o Instance) bool {
	return in.VirtualRouterID == o.VirtualRouterID && in.Version == o.Version && in.IPv6 == o.IPv6 && in.Interface == o.Interface &&
		(len(in.Peers) > 0) == (len(o.Peers) > 0) && in.Group4 == o.Group4 && in.Group6 == o.Group6 &&
		in.AuthType == o.AuthType && in.AuthPass == o.AuthPass && (in.Version != 2 || in.AdvertInt == o.AdvertInt)
}

// TrackedFile is a track_file block.
type TrackedFile struct {
	Path   string
	Weight int // as in keepalived, 1 if the file has none
}

// The groups of RFC 9568, 5.1.1.2 and 5.1.2.2, which keepalived uses unless global_defs names others.
var (
	group4 = netip.AddrFrom4([4]byte{224, 0, 0, 18})
	group6 = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})
)

// entry handles a line of a vrrp_instance.
func (t *Transport) entry(ws []string) {
	value := ""
	if len(ws) >= 2 {
		value = ws[1]
	}
	switch ws[0] {
	case "version":
		t.Version, _ = strconv.Atoi(value)
	case "unicast_src_ip", "mcast_src_ip":
		t.Source, _ = netip.ParseAddr(value)
	case "unicast_ttl":
		t.TTL, _ = strconv.Atoi(value)
	case "native_ipv6":
		t.IPv6 = true
	case "use_vmac":
		t.OwnMAC = true
	}
}

// transport handles a line of the other blocks that affect how an instance sends advertisements.
func (r *reader) transport(ws []string) {
	value := ""
	if len(ws) >= 2 {
		value = ws[1]
	}
	switch {
	case r.within("global_defs"):
		switch ws[0] {
		case "vrrp_version":
			r.defaults.Version, _ = strconv.Atoi(value)
		case "vrrp_mcast_group4":
			r.defaults.Group4, _ = netip.ParseAddr(value)
		case "vrrp_mcast_group6":
			r.defaults.Group6, _ = netip.ParseAddr(value)
		}
	case r.within("vrrp_instance", "unicast_peer"):
		if a, err := netip.ParseAddr(ws[0]); err == nil {
			in := &r.file.Instances[len(r.file.Instances)-1]
			in.Peers = append(in.Peers, a)
		}
	case r.within("vrrp_instance", "authentication"):
		in := &r.file.Instances[len(r.file.Instances)-1]
		switch ws[0] {
		case "auth_type":
			in.AuthType = value
		case "auth_pass":
			in.AuthPass = value
		}
	case r.within("vrrp_instance", "track_file"):
		in := &r.file.Instances[len(r.file.Instances)-1]
		in.TrackFiles = append(in.TrackFiles, ws[0])
	case len(r.blocks) == 1 && r.trackFile() != "":
		f := r.file.TrackFiles[r.trackFile()]
		switch ws[0] {
		case "file":
			f.Path = value
		case "weight":
			f.Weight, _ = strconv.Atoi(value)
		}
		r.file.TrackFiles[r.trackFile()] = f
	}
}

// trackFile returns the name of the open track_file block. vrrp_track_file is its older name.
func (r *reader) trackFile() string {
	if len(r.blocks) != 1 || len(r.blocks[0]) < 2 || !slices.Contains([]string{"track_file", "vrrp_track_file"}, r.blocks[0][0]) {
		return ""
	}
	return r.blocks[0][1]
}

// openedTrackFile handles the beginning of a track_file block.
func (r *reader) openedTrackFile() {
	if name := r.trackFile(); name != "" {
		if r.file.TrackFiles == nil {
			r.file.TrackFiles = map[string]TrackedFile{}
		}
		r.file.TrackFiles[name] = TrackedFile{Weight: 1}
	}
}

// complete fills in values that the instance's block does not set, as keepalived does.
func (t *Transport) complete(defaults Transport, vips []VIP) {
	t.Group4, t.Group6 = group4, group6
	if defaults.Group4.Is4() {
		t.Group4 = defaults.Group4
	}
	if defaults.Group6.Is6() {
		t.Group6 = defaults.Group6
	}
	for _, v := range vips {
		if !v.Excluded {
			t.IPv6 = t.IPv6 || v.Address.Addr().Is6()
			break
		}
	}
	t.IPv6 = t.IPv6 || t.Source.Is6() || len(t.Peers) > 0 && t.Peers[0].Is6()
	if t.Version == 0 {
		t.Version = defaults.Version
	}
	if t.Version == 0 {
		t.Version = 2 // keepalived.conf(5), vrrp_version
	}
	if t.IPv6 {
		t.Version = 3 // version 2 has no IPv6 (RFC 3768)
	}
}
