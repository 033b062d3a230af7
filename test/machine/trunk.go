package machine

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/lab"
)

// Trunk is a switch whose ports carry several networks of the lab: untagged frames belong to one network, and frames with a
// tag (IEEE 802.1Q) to that of the VLAN. Linux's bridge can do the same, but only if the kernel supports VLANs.
type Trunk struct {
	taps  map[uint16]*lab.Tap // by VLAN; 0 is for untagged frames
	mu    sync.Mutex
	ports map[*port]bool
}

// port is the trunk's end of a connection to a machine's card. A machine that boots does not read. Its frames wait in the queue,
// and are dropped if the queue is full.
type port struct {
	file  *os.File
	queue chan []byte
}

// maxQueue is the number of frames that wait for a machine, as in the queue of a card of Linux.
const maxQueue = 1000

// NewTrunk creates a trunk of the lab's networks, by VLAN. It ends with the test.
func NewTrunk(t testing.TB, l *lab.Lab, networks map[uint16]string) *Trunk {
	t.Helper()
	s := &Trunk{taps: map[uint16]*lab.Tap{}, ports: map[*port]bool{}}
	for vlan, name := range networks {
		tap, err := l.NewTap(name, false)
		if err != nil {
			t.Fatal(err)
		}
		s.taps[vlan] = tap
	}
	var running sync.WaitGroup
	for vlan, tap := range s.taps {
		running.Go(func() { s.down(vlan, tap) })
	}
	t.Cleanup(func() {
		for _, tap := range s.taps {
			tap.Close()
		}
		running.Wait()
	})
	return s
}

// maxFrame is the maximum size of a frame. It is QEMU's limit for a packet that is not segmented yet.
const maxFrame = 68 << 10

const (
	addresses = 12 // length of both MAC addresses, which come before the tag
	tagSize   = 4
	tagType   = 0x8100
)

// down forwards frames of a network to all ports.
func (s *Trunk) down(vlan uint16, tap *lab.Tap) {
	frame := make([]byte, maxFrame)
	for {
		n, err := tap.Read(frame)
		if err != nil {
			return
		}
		s.deliver(tagged(frame[:n], vlan), nil)
	}
}

// deliver queues a frame for all ports except one. QEMU's sockets expect the length before the frame.
func (s *Trunk) deliver(frame []byte, but *port) {
	packet := append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.ports {
		if p == but {
			continue
		}
		select {
		case p.queue <- packet:
		default:
		}
	}
}

// plug creates a port, and returns the machine's end of it.
func (s *Trunk) plug() (*os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot create a port of the trunk: %w", err)
	}
	p := &port{file: os.NewFile(uintptr(pair[0]), "trunk"), queue: make(chan []byte, maxQueue)}
	s.mu.Lock()
	s.ports[p] = true
	s.mu.Unlock()
	go s.up(p)
	go p.send()
	return os.NewFile(uintptr(pair[1]), "machine"), nil
}

// send writes queued frames until the queue is closed.
func (p *port) send() {
	for packet := range p.queue {
		_, _ = p.file.Write(packet) // the machine may have ended; up then closes the queue
	}
}

// up forwards frames of a machine to its networks and to the other ports, until the machine ends.
func (s *Trunk) up(p *port) {
	defer func() {
		s.mu.Lock()
		delete(s.ports, p)
		close(p.queue)
		s.mu.Unlock()
		p.file.Close()
	}()
	var length [4]byte
	frame := make([]byte, maxFrame)
	for {
		if _, err := io.ReadFull(p.file, length[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(length[:])
		if n > maxFrame {
			return
		}
		if _, err := io.ReadFull(p.file, frame[:n]); err != nil {
			return
		}
		s.deliver(frame[:n], p)
		vlan, plain := untagged(frame[:n])
		if tap := s.taps[vlan]; tap != nil {
			_, _ = tap.Write(plain)
		}
	}
}

// tagged returns a copy of a frame with the tag of a VLAN; 0 means no tag.
func tagged(frame []byte, vlan uint16) []byte {
	if vlan == 0 || len(frame) < addresses {
		return append([]byte(nil), frame...)
	}
	out := append([]byte(nil), frame[:addresses]...)
	out = binary.BigEndian.AppendUint16(out, tagType)
	out = binary.BigEndian.AppendUint16(out, vlan)
	return append(out, frame[addresses:]...)
}

// untagged returns the VLAN of a frame (0 if it has no tag), and a copy of the frame without the tag.
func untagged(frame []byte) (vlan uint16, plain []byte) {
	if len(frame) < addresses+tagSize || binary.BigEndian.Uint16(frame[addresses:]) != tagType {
		return 0, append([]byte(nil), frame...)
	}
	vlan = binary.BigEndian.Uint16(frame[addresses+2:]) & 0xfff
	return vlan, append(append([]byte(nil), frame[:addresses]...), frame[addresses+tagSize:]...)
}
