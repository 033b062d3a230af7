package machine

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/testing/labtest"
)

// TestTrunk asks for the addresses of clients on both networks of a trunk, with and without a tag. Each client must answer
// only in its own VLAN, also while another machine on the trunk does not read.
func TestTrunk(t *testing.T) {
	l := labtest.Lab(t)
	for network, address := range map[string]string{"management": "192.168.56.1/24", "public": "192.168.1.100/24"} {
		if _, err := l.AddClient(t.Context(), network, network, netip.MustParsePrefix(address)); err != nil {
			t.Fatal(err)
		}
	}
	trunk := NewTrunk(t, l, map[uint16]string{0: "management", 100: "public"})
	machine := plug(t, trunk)
	plug(t, trunk) // a machine that does not read: more frames follow than fit into its queue and its socket
	for range 5 * maxQueue {
		send(t, machine, append(bytes.Repeat([]byte{0xff}, 6), make([]byte, 54)...))
	}
	for _, try := range []struct {
		vlan   uint16
		asked  string
		answer bool
	}{
		{0, "192.168.1.100", false}, {0, "192.168.56.1", true}, {100, "192.168.56.1", false}, {100, "192.168.1.100", true}, {7, "192.168.56.1", false},
	} {
		// A question without an answer takes one second.
		if got := ask(t, machine, try.vlan, netip.MustParseAddr(try.asked)); got != try.answer {
			t.Errorf("VLAN %d, %s: answered %v, want %v", try.vlan, try.asked, got, try.answer)
		}
	}
}

func plug(t *testing.T, trunk *Trunk) *os.File {
	t.Helper()
	port, err := trunk.plug()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Close() })
	return port
}

// send sends a frame within ten seconds.
func send(t *testing.T, port *os.File, frame []byte) {
	t.Helper()
	if err := port.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := port.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)); err != nil {
		t.Fatal(err)
	}
}

// ask sends an ARP request (RFC 826), and reports whether a reply arrives in the same VLAN.
func ask(t *testing.T, port *os.File, vlan uint16, asked netip.Addr) bool {
	t.Helper()
	me := []byte{0x52, 0x54, 0, 0, 0, 9}
	frame := append(bytes.Repeat([]byte{0xff}, 6), me...)
	frame = append(frame, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1)
	frame = append(append(frame, me...), 0, 0, 0, 0) // a probe, without a sender address
	frame = append(append(frame, 0, 0, 0, 0, 0, 0), asked.AsSlice()...)
	frame = tagged(frame, vlan)
	send(t, port, frame)
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
