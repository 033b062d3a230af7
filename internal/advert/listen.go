package advert

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/keepalived"
)

// Listener receives the advertisements of other machines for an instance.
type Listener struct {
	fd int
	in keepalived.Instance
}

// Listen starts to receive advertisements. It needs CAP_NET_RAW. If there is a multicast group, keepalived has already
// joined it.
func Listen(in keepalived.Instance) (*Listener, error) {
	family := unix.AF_INET
	if in.IPv6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, Protocol)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for advertisements of %s: %w", in.Name, err)
	}
	return &Listener{fd, in}, nil
}

// Heard reports whether another machine has advertised itself as the instance's master since the last call, in the way in which
// the instance receives advertisements. It does not block.
func (l *Listener) Heard() bool {
	buf := make([]byte, 2048)
	for heard := false; ; {
		n, from, err := unix.Recvfrom(l.fd, buf, 0)
		if err != nil {
			return heard
		}
		b := buf[:n]
		if !l.in.IPv6 { // an IPv4 packet comes with its header, an IPv6 packet without
			if len(b) < 20 || len(b) < int(b[0]&0xf)*4 || netip.AddrFrom4([4]byte(b[16:20])).IsMulticast() == (len(l.in.Peers) > 0) {
				continue
			}
			b = b[int(b[0]&0xf)*4:]
		}
		id, priority, ok := parse(b)
		heard = heard || ok && id == l.in.VirtualRouterID && int(b[0]>>4) == l.in.Version && priority > 0 && address(from) != l.in.Source
	}
}

// Close stops the listener.
func (l *Listener) Close() error { return unix.Close(l.fd) }

func address(sa unix.Sockaddr) netip.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(sa.Addr)
	}
	return netip.Addr{}
}
