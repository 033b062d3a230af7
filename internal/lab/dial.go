package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// past is a deadline that has passed. It ends blocked calls.
var past = time.Unix(1, 0)

// dialIn connects to an IP address and port over TCP from a network namespace, until ctx ends. A thread enters the namespace
// only to create the socket, so an unanswered connection does not block a thread. net.Dialer on such a thread would.
func dialIn(ctx context.Context, netns, address string) (net.Conn, error) {
	conn, err := connect(ctx, netns, address)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", address, err)
	}
	return conn, nil
}

func connect(ctx context.Context, netns, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	family, peer := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
	if addr := to.Addr().Unmap(); addr.Is4() {
		family, peer = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: addr.As4()}
	}
	var fd int
	err = withinNet(netns, func() (err error) {
		fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, peer); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return nil, err
	}
	f := os.NewFile(uintptr(fd), address)
	defer f.Close() // net.FileConn duplicates it
	if err := connected(ctx, f); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

// SendPacket sends an IP packet with the given protocol number (for example 112 for VRRP) from the client. The kernel writes
// its header, with a hop limit of 255, as VRRP and neighbour discovery require.
func (c *Client) SendPacket(protocol int, to netip.Addr, payload []byte) error {
	err := withinNet(c.lab.netnsPath(c.name), func() error {
		family, peer := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: to.As16()})
		level, hops := unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
		if to.Is4() {
			family, peer = unix.AF_INET, &unix.SockaddrInet4{Addr: to.As4()}
			level, hops = unix.IPPROTO_IP, unix.IP_TTL
		}
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptInt(fd, level, hops, 255); err != nil {
			return err
		}
		return unix.Sendto(fd, payload, 0, peer)
	})
	if err != nil {
		return fmt.Errorf("cannot send a packet of protocol %d to %v: %w", protocol, to, err)
	}
	return nil
}

// connected waits until a socket is connected, or until ctx ends.
func connected(ctx context.Context, f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(past) })()
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = syscall.Errno(code)
		}
		if err != nil {
			failed = err
			return true
		}
		// A wake-up may be spurious, so check that the socket has a peer.
		_, err = unix.Getpeername(int(fd))
		return err == nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(failed, err)
}
