package advert

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/keepalived"
)

// Listener hears the advertisements of other machines for an instance.
type Listener struct {
	fd int
	in keepalived.Instance
}

// Listen begins to listen. It needs CAP_NET_RAW. keepalived has joined the group already, if there is one.
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

// Heard reports whether another machine has advertised the instance as its master since the last call. It does not wait.
func (l *Listener) Heard() bool {
	buf := make([]byte, 2048)
	for heard := false; ; {
		n, from, err := unix.Recvfrom(l.fd, buf, 0)
		if err != nil {
			return heard
		}
		b := buf[:n]
		if !l.in.IPv6 { // IPv4 comes with its header, IPv6 without
			if len(b) < 20 || len(b) < int(b[0]&0xf)*4 {
				continue
			}
			b = b[int(b[0]&0xf)*4:]
		}
		id, priority, ok := parse(b)
		heard = heard || ok && id == l.in.VirtualRouterID && priority > 0 && address(from) != l.in.Source
	}
}

// Close ends it.
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
