package machine

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/testing/labtest"
)

// TestTrunk asks for the addresses of clients on both networks of a trunk, with and without a tag. Each client must answer
// only in its own VLAN.
func TestTrunk(t *testing.T) {
	l := labtest.Lab(t)
	for network, address := range map[string]string{"management": "192.168.56.1/24", "public": "192.168.1.100/24"} {
		if _, err := l.AddClient(t.Context(), network, network, netip.MustParsePrefix(address)); err != nil {
			t.Fatal(err)
		}
	}
	port, err := NewTrunk(t, l, map[uint16]string{0: "management", 100: "public"}).plug()
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	for _, try := range []struct {
		vlan   uint16
		asked  string
		answer bool
	}{
		{0, "192.168.1.100", false}, {0, "192.168.56.1", true}, {100, "192.168.56.1", false}, {100, "192.168.1.100", true}, {7, "192.168.56.1", false},
	} {
		// A question without an answer takes one second.
		if got := ask(t, port, try.vlan, netip.MustParseAddr(try.asked)); got != try.answer {
			t.Errorf("VLAN %d, %s: answered %v, want %v", try.vlan, try.asked, got, try.answer)
		}
	}
}

type deadliner interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
}

// ask sends an ARP request (RFC 826), and reports whether a reply arrives in the same VLAN.
func ask(t *testing.T, port deadliner, vlan uint16, asked netip.Addr) bool {
	t.Helper()
	me := []byte{0x52, 0x54, 0, 0, 0, 9}
	frame := append(bytes.Repeat([]byte{0xff}, 6), me...)
	frame = append(frame, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1)
	frame = append(append(frame, me...), 0, 0, 0, 0) // a probe, without a sender address
	frame = append(append(frame, 0, 0, 0, 0, 0, 0), asked.AsSlice()...)
	frame = tagged(frame, vlan)
	if _, err := port.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)); err != nil {
		t.Fatal(err)
	}
	if err := port.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		var length [4]byte
		if _, err := io.ReadFull(port, length[:]); err != nil {
			return false
		}
		got := make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(port, got); err != nil {
			return false
		}
		in, plain := untagged(got)
		if bytes.HasPrefix(plain, me) && bytes.Equal(plain[28:32], asked.AsSlice()) {
			return in == vlan
		}
	}
}
