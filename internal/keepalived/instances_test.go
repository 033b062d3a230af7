package keepalived

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadFindsInstancesAndTheirVIPs(t *testing.T) {
	const conf = `! a comment
global_defs {
    router_id controller_1   # the node
    vrrp_notify_fifo /run/ha-agent/notify.fifo
}
include /etc/keepalived/more/*.conf
vrrp_script haproxy {
    script "/usr/bin/ha-agent check"
    interval 1
}
vrrp_instance VI_public {
    state BACKUP
    interface eth3
    virtual_router_id 32
    advert_int 0.25
    unicast_peer {
        192.168.56.102
    }
    virtual_ipaddress {
        192.168.1.32/24 dev eth4 label eth4:vip
        192.168.1.33
    }
    virtual_ipaddress_excluded {
        2001:db8::32/64 dev eth4
    }
    track_script { haproxy }
}
vrrp_instance "VI_other"
{
    interface eth5
    virtual_ipaddress { 10.0.0.1/8 }
}
virtual_server 10.0.0.9 80 {
    virtual_ipaddress {
        10.9.9.9
    }
}
`
	want := File{
		RouterID: "controller_1",
		Includes: []string{"/etc/keepalived/more/*.conf"},
		Instances: []Instance{
			{Name: "VI_public", Interface: "eth3", VirtualRouterID: 32, AdvertInt: 250 * time.Millisecond, VIPs: []VIP{
				{Address: netip.MustParsePrefix("192.168.1.32/24"), Interface: "eth4"}, {Address: netip.MustParsePrefix("192.168.1.33/32"), Interface: "eth3"},
				{Address: netip.MustParsePrefix("2001:db8::32/64"), Interface: "eth4", Excluded: true},
			}},
			{Name: "VI_other", Interface: "eth5", AdvertInt: time.Second, VIPs: []VIP{{Address: netip.MustParsePrefix("10.0.0.1/8"), Interface: "eth5"}}},
		},
	}
	got := Read([]byte(conf))
	for i := range got.Instances {
		got.Instances[i].Transport = Transport{} // tested by TestReadFindsTransports
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Fatal(diff)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("vrrp_instance a {\nvirtual_ipaddress {\n10.0.0.1/8 dev x\n}\n}\n"))
	f.Add([]byte("}}{{ vrrp_instance\n{ interface }\nvrrp_instance \"\" { interface x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, in := range Read(b).Instances {
			for _, v := range in.VIPs {
				if !v.Address.IsValid() {
					t.Fatalf("VIP without an address from %q", b)
				}
			}
		}
	})
}
