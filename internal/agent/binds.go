package agent

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

// bindable tells which address of a haproxy.cfg could not be bound on this machine now, or nil. haproxy -c binds nothing,
// and a worker that cannot bind makes the old one let go of all its addresses for two seconds while it tries again (SIGTTOU):
// such a file must never be reloaded. Addresses that this cannot read are haproxy's own affair.
func bindable(conf string) error {
	proxies := map[netip.AddrPort]string{}
	for _, b := range haproxy.Binds(conf) {
		// haproxy lets two proxies have one address (SO_REUSEPORT), and the kernel deals connections out to both at random.
		// Within one proxy that is a way to spread work.
		if first, taken := proxies[b.AddrPort]; taken && first != b.Proxy {
			return fmt.Errorf("%v is bound twice, in %q and in %q: each would get a part of the connections", b.AddrPort, first, b.Proxy)
		}
		proxies[b.AddrPort] = b.Proxy
		if err := probe(b.AddrPort); err != nil {
			return err
		}
	}
	for _, path := range haproxy.UnixSockets(conf) {
		if noDirectory(filepath.Dir(path)) {
			return fmt.Errorf("there is no directory for the socket %s", path)
		}
	}
	// A worker that finds this out when it has started takes its master with it, and the old worker, too.
	if dir := haproxy.Chroot(conf); dir != "" && noDirectory(dir) {
		return fmt.Errorf("there is no directory %s for haproxy's chroot", dir)
	}
	return nil
}

func noDirectory(path string) bool {
	fi, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !fi.IsDir()
}

// probe binds an address and lets go of it. It shares it with haproxy, which sets SO_REUSEPORT too, and never listens: no
// connection is led astray.
func probe(at netip.AddrPort) error {
	family, to := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().Unmap().As4()})
	if at.Addr().Is6() {
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil // a kernel without that family: haproxy will say so
	}
	defer unix.Close(fd)
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
			return nil
		}
	}
	if family == unix.AF_INET6 {
		// Without it a bind of all IPv6 addresses would want the IPv4 ones, too.
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	switch err := unix.Bind(fd, to); {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%v is taken by another program: `ss -ltnp` names it", at)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%v is not this machine's, and net.ipv%s.ip_nonlocal_bind is not 1", at, map[int]string{unix.AF_INET: "4", unix.AF_INET6: "6"}[family])
	}
	return nil
}
