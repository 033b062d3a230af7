package target

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/haproxy"
)

// bindable returns the address of a haproxy.cfg that cannot be bound on this machine now, or nil. haproxy -c does not bind
// addresses. In a reload, a worker that cannot bind one makes the old worker release all its addresses for two seconds while it
// tries again (SIGTTOU), so such a file must not be loaded. Addresses that cannot be parsed here are left to haproxy.
func bindable(conf string) error {
	type place struct {
		netip.AddrPort
		device string
	}
	proxies := map[place]string{}
	for _, b := range haproxy.Binds(conf) {
		// haproxy lets two proxies bind the same address (SO_REUSEPORT), and the kernel distributes connections between them at
		// random. Within one proxy that distributes work.
		at := place{b.AddrPort, b.Interface}
		if first, taken := proxies[at]; taken && first != b.Proxy {
			return fmt.Errorf("%v is bound twice, in %q and in %q: each would get a part of the connections", b.AddrPort, first, b.Proxy)
		}
		proxies[at] = b.Proxy
		if err := probe(b); err != nil {
			return err
		}
	}
	for _, path := range haproxy.UnixSockets(conf) {
		if noDirectory(filepath.Dir(path)) {
			return fmt.Errorf("there is no directory for the socket %s", path)
		}
	}
	// A worker that finds this out after its start ends its master, and the old worker too.
	if dir := haproxy.Chroot(conf); dir != "" && noDirectory(dir) {
		return fmt.Errorf("there is no directory %s for haproxy's chroot", dir)
	}
	return nil
}

func noDirectory(path string) bool {
	fi, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !fi.IsDir()
}

// probe binds an address as haproxy does and closes the socket again. It can share the address with haproxy, because both set
// SO_REUSEPORT, and it never listens, so that it gets no connections.
func probe(b haproxy.Bind) error {
	family, to := socketAddress(b.AddrPort)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil // a kernel without that address family: haproxy reports it
	}
	defer unix.Close(fd)
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
			return nil
		}
	}
	if b.Interface != "" {
		if err := unix.BindToDevice(fd, b.Interface); errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("%v cannot be bound to the interface %q: it does not exist", b.AddrPort, b.Interface)
		}
	}
	if family == unix.AF_INET6 && b.V6 != haproxy.V6Default {
		only := 0
		if b.V6 == haproxy.V6Only {
			only = 1
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only)
	}
	return bindError(b, unix.Bind(fd, to))
}

// socketAddress returns an address in the form of bind(2).
func socketAddress(at netip.AddrPort) (family int, to unix.Sockaddr) {
	if addr := at.Addr(); addr.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: addr.As4()}
	}
	// An IPv4-mapped address (::ffff:10.0.0.1) stays one: haproxy binds it with an IPv6 socket.
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
}

// bindError explains why an address cannot be bound. Errors that are not about the address are left to haproxy.
func bindError(b haproxy.Bind, err error) error {
	family := "ipv4"
	if !b.Addr().Unmap().Is4() {
		family = "ipv6"
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%v is taken by another program: `ss -ltnp` names it", b.AddrPort)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%v is not this machine's, and net.%s.ip_nonlocal_bind is not 1", b.AddrPort, family)
	case errors.Is(err, unix.EINVAL) && b.Addr().IsLinkLocalUnicast() && b.Interface == "":
		return fmt.Errorf("%v is a link-local address, which needs the option \"interface\" with the name of its interface", b.AddrPort)
	case errors.Is(err, unix.EINVAL) && b.Addr().Is4In6() && b.V6 == haproxy.V6Only:
		return fmt.Errorf("%v is an IPv4 address, which v6only does not allow", b.AddrPort)
	}
	return nil
}
