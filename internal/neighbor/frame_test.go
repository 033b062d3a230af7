package neighbor

import (
	"net"
	"net/netip"
	"testing"
)

var (
	macA = net.HardwareAddr{0x02, 0, 0, 0, 0, 0xa}
	macB = net.HardwareAddr{0x02, 0, 0, 0, 0, 0xb}
	vip4 = netip.MustParseAddr("192.168.1.32")
	vip6 = netip.MustParseAddr("fd00::32")
)

// arpAnswer returns the reply of another machine to a probe.
func arpAnswer() []byte {
	b := arpQuestion(macA, vip4).frame
	copy(b[0:], macA)
	copy(b[6:], macB)
	b[21] = arpReply
	copy(b[22:], macB)
	copy(b[28:], vip4.AsSlice())
	return b
}

// ndAnswer returns an advertisement of another machine, with its hardware address in an option.
func ndAnswer() []byte {
	b := ndQuestion(macB, netip.MustParseAddr("fe80::b"), vip6).frame
	icmp := b[ethernetHeader+ipv6Header:]
	icmp[0], icmp[24] = advertisement, targetOption
	return summed(b)
}

// summed corrects the checksum of an advertisement.
func summed(b []byte) []byte {
	icmp := b[ethernetHeader+ipv6Header:]
	icmp[2], icmp[3] = 0, 0
	sum := checksum([16]byte(b[22:38]), [16]byte(b[38:54]), icmp)
	icmp[2], icmp[3] = byte(sum>>8), byte(sum)
	return b
}

func TestAnswers(t *testing.T) {
	if who, ok := arpQuestion(macA, vip4).answer(arpAnswer()); !ok || who.String() != macB.String() {
		t.Errorf("ARP: %v, %v", who, ok)
	}
	if who, ok := ndQuestion(macA, netip.Addr{}, vip6).answer(ndAnswer()); !ok || who.String() != macB.String() {
		t.Errorf("ND: %v, %v", who, ok)
	}
}

func TestNoAnswers(t *testing.T) {
	arp, nd := arpQuestion(macA, vip4), ndQuestion(macA, netip.MustParseAddr("fe80::a"), vip6)
	change := func(b []byte, at int, to byte) []byte { b[at] = to; return b }
	tests := []struct {
		name  string
		q     question
		frame []byte
	}{
		{"the probe itself", arp, arp.frame},
		{"of another address", arp, change(arpAnswer(), 31, 33)},
		{"of a group", arp, change(arpAnswer(), 22, 3)},
		{"of another protocol", arp, change(arpAnswer(), 16, 9)},
		{"cut off", arp, arpAnswer()[:41]},
		{"the solicitation itself", nd, nd.frame},
		{"a wrong checksum", nd, change(ndAnswer(), 77, 0x33)},
		{"through a router", nd, summed(change(ndAnswer(), 21, 254))},
		{"an option of no length", nd, summed(change(ndAnswer(), 79, 0))},
		{"an option longer than all", nd, summed(change(ndAnswer(), 79, 2))},
		{"of another code", nd, summed(change(ndAnswer(), 55, 1))},
		{"shorter than it says", nd, ndAnswer()[:80]},
		{"nothing", nd, nil},
	}
	for _, tt := range tests {
		if who, ok := tt.q.answer(tt.frame); ok {
			t.Errorf("%s: accepted as an answer of %v", tt.name, who)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(arpAnswer())
	f.Add(ndAnswer())
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, parse := range []func([]byte) (net.HardwareAddr, netip.Addr, bool){parseARP, parseND} {
			if who, addr, ok := parse(frame); ok && (len(who) != ethernetAddress || who[0]&1 != 0 || !addr.IsValid()) {
				t.Errorf("parsed as hardware address %v with address %v", who, addr)
			}
		}
	})
}
