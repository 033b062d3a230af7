package keepalived

import (
	"net/netip"
	"slices"
	"testing"
)

func TestReadFindsTransports(t *testing.T) {
	const conf = `global_defs {
    vrrp_version 3
    vrrp_mcast_group4 224.0.0.99
}
track_file holder_VI_a {
    file /run/ha-agent/holder-VI_a.track
    weight 3
    init_file 0
}
vrrp_track_file other { file /run/x }
vrrp_instance VI_a {
    interface eth3
    unicast_src_ip 192.0.2.1
    unicast_ttl 255
    unicast_peer {
        192.0.2.2
        192.0.2.3 min_ttl 255 max_ttl 255
    }
    track_file {
        haproxy
        holder_VI_a
    }
    virtual_ipaddress { 192.0.2.32/24 }
}
vrrp_instance VI_b {
    interface eth3
    version 2
    mcast_src_ip 192.0.2.1
    authentication {
        auth_type PASS
        auth_pass "a b"
    }
    virtual_ipaddress { 192.0.2.33/24 }
}
vrrp_instance VI_c {
    version 2
    virtual_ipaddress { fe80::1/64 }
}
vrrp_instance VI_d {
    native_ipv6
    use_vmac
}
`
	f := Read([]byte(conf))
	if got, want := f.TrackFiles["holder_VI_a"], (TrackedFile{"/run/ha-agent/holder-VI_a.track", 3}); got != want {
		t.Errorf("the holder's file is %+v, want %+v", got, want)
	}
	if got, want := f.TrackFiles["other"], (TrackedFile{"/run/x", 1}); got != want {
		t.Errorf("the other file is %+v, want %+v", got, want)
	}
	a, b, c, d := f.Instances[0], f.Instances[1], f.Instances[2], f.Instances[3]
	group := netip.MustParseAddr("224.0.0.99")
	if a.TTL != 255 || b.TTL != 0 {
		t.Errorf("the TTLs are %d and %d, want 255 and 0", a.TTL, b.TTL)
	}
	if a.Version != 3 || a.Source != netip.MustParseAddr("192.0.2.1") || a.IPv6 || a.Group4 != group ||
		!slices.Equal(a.Peers, []netip.Addr{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")}) ||
		!slices.Equal(a.TrackFiles, []string{"haproxy", "holder_VI_a"}) {
		t.Errorf("transport of VI_a: %+v", a)
	}
	if b.Version != 2 || b.Source != a.Source || b.AuthType != "PASS" || b.AuthPass != "a b" || len(b.Peers) > 0 {
		t.Errorf("transport of VI_b: %+v", b)
	}
	if c.Version != 3 || !c.IPv6 || c.Group6 != netip.MustParseAddr("ff02::12") || c.OwnMAC {
		t.Errorf("transport of VI_c: %+v", c)
	}
	if !d.IPv6 || !d.OwnMAC {
		t.Errorf("transport of VI_d: %+v", d)
	}
	if v := Read([]byte("vrrp_instance a {\n}\n")).Instances[0].Version; v != 2 {
		t.Errorf("without vrrp_version, the version is %d, want 2", v)
	}
}
