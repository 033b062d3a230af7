package advert

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/keepalived"
)

func instance(version int, addresses ...string) keepalived.Instance {
	in := keepalived.Instance{Name: "VI_public", VirtualRouterID: 0x33, AdvertInt: 200 * time.Millisecond}
	in.Version = version
	for _, a := range addresses {
		p := netip.MustParsePrefix(a)
		in.IPv6 = p.Addr().Is6()
		in.VIPs = append(in.VIPs, keepalived.VIP{Address: p, Interface: "eth4"})
	}
	return in
}

func TestPacket(t *testing.T) {
	from, to := netip.MustParseAddr("192.168.56.101"), netip.MustParseAddr("192.168.56.102")
	second := instance(2, "192.168.1.32/24")
	second.AdvertInt = time.Second
	secret := second
	secret.AuthType, secret.AuthPass = "PASS", "secret"
	excluded := instance(3, "192.168.1.32/24")
	excluded.VIPs = append(excluded.VIPs, keepalived.VIP{Address: netip.MustParsePrefix("2001:db8::1/64"), Excluded: true})
	for name, tt := range map[string]struct {
		in   keepalived.Instance
		want string // the checksum is verified below
	}{
		"version 3":                      {instance(3, "192.168.1.32/24", "192.168.1.33/24"), "3133000200140000" + "c0a80120c0a80121"},
		"version 3, an excluded address": {excluded, "3133000100140000" + "c0a80120"},
		"version 3 over IPv6":            {instance(3, "2001:db8::1/64"), "3133000100140000" + "20010db8000000000000000000000001"},
		"version 2":                      {second, "2133000100010000" + "c0a80120" + "0000000000000000"},
		"version 2 with a password":      {secret, "2133000101010000" + "c0a80120" + hex.EncodeToString([]byte("secret\x00\x00"))},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := packet(tt.in, 0, from, to)
			if err != nil {
				t.Fatal(err)
			}
			begun := uint32(0)
			if tt.in.Version == 3 {
				begun = pseudo(from, to, len(b))
			}
			if sum := checksum(b, begun); sum != 0 && !tt.in.IPv6 {
				t.Errorf("the sum including the checksum is %#x, want 0xffff", sum)
			}
			b[6], b[7] = 0, 0
			if got := hex.EncodeToString(b); got != tt.want {
				t.Errorf("got\n%s, want\n%s", got, tt.want)
			}
			if id, priority, ok := parse(b); !ok || id != 0x33 || priority != 0 {
				t.Errorf("the packet was parsed as virtual router %d, priority %d, %v", id, priority, ok)
			}
		})
	}
}

func TestPacketRefuses(t *testing.T) {
	ah := instance(2, "192.168.1.32/24")
	ah.AuthType, ah.AuthPass = "AH", "secret"
	for name, tt := range map[string]struct {
		in   keepalived.Instance
		want string
	}{
		"no address":              {instance(3), "0 addresses"},
		"two address families":    {instance(3, "192.168.1.32/24", "2001:db8::1/64"), "address family"},
		"an unknown version":      {instance(4, "192.168.1.32/24"), "version 4"},
		"authentication of IPsec": {ah, "authentication"},
	} {
		_, err := packet(tt.in, 0, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{0x31, 0x33, 0, 1, 0, 20, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, _, ok := parse(b); ok && (id < 0 || id > 255) {
			t.Errorf("parse(%[2]x) returned virtual router %[1]d", id, b)
		}
	})
}
