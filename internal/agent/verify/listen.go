package verify

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/regular"
)

// socket is a line of /proc/net/tcp or /proc/net/udp.
type socket struct {
	local  netip.AddrPort
	listen bool
	inode  string
}

// takes reports whether packets to an address can reach the socket. A socket for all IPv6 addresses may also take IPv4,
// unless it is v6only, which /proc does not show. A socket for all IPv4 addresses does not take IPv6.
func (s socket) takes(at netip.AddrPort) bool {
	all := s.local.Addr().IsUnspecified() && (s.local.Addr().Is6() || at.Addr().Unmap().Is4())
	return s.local.Port() == at.Port() && (all || s.local.Addr() == at.Addr().Unmap().WithZone(""))
}

const stateListen = "0A" // TCP_LISTEN in the kernel's include/net/tcp_states.h

// sockets reads /proc/net/NAME.
func (m *Machine) sockets(name string) ([]socket, error) {
	b, err := os.ReadFile(m.path("/proc/net/" + name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // a kernel without IPv6
	}
	if err != nil {
		return nil, err
	}
	var all []socket
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 10 {
			continue
		}
		if local, err := parseHexAddr(f[1]); err == nil {
			all = append(all, socket{local, f[3] == stateListen, f[9]})
		}
	}
	return all, nil
}

// parseHexAddr parses an address in the kernel's format: 32-bit words in the machine's byte order, a colon, and the port.
func parseHexAddr(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if err != nil || (len(b) != 4 && len(b) != 16) {
		return netip.AddrPort{}, fmt.Errorf("cannot parse the address %q", s)
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("cannot parse the port of %q", s)
	}
	addr, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr.Unmap(), uint16(p)), nil
}

// listens checks that haproxy itself listens on an address, or on all addresses with its port.
func (m *Machine) listens(service string, want netip.AddrPort) step {
	return step{fmt.Sprintf("haproxy listens on %v for %s", want, service), func(context.Context) (string, error) {
		var inodes []string
		for _, name := range []string{"tcp", "tcp6"} {
			all, err := m.sockets(name)
			if err != nil {
				return "", err
			}
			for _, s := range all {
				if s.listen && s.takes(want) {
					inodes = append(inodes, s.inode)
				}
			}
		}
		if inodes == nil {
			return "", not("systemctl status haproxy", "the port is not open")
		}
		if owner := m.owner(inodes); owner != "" && owner != "haproxy" {
			return "", not("stop "+owner, "%s listens on it", owner)
		}
		return "", nil
	}}
}

// owner returns the name of the program that holds one of the sockets: haproxy if it is one of them. It returns "" if no
// owner could be found.
func (m *Machine) owner(inodes []string) string {
	found := ""
	comms, _ := filepath.Glob(m.path("/proc/[0-9]*/comm"))
	for _, comm := range comms {
		dir := filepath.Join(filepath.Dir(comm), "fd")
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			link, _ := os.Readlink(filepath.Join(dir, e.Name()))
			inode, ok := strings.CutPrefix(link, "socket:[")
			if !ok || !slices.Contains(inodes, strings.TrimSuffix(inode, "]")) {
				continue
			}
			b, _ := os.ReadFile(comm)
			if found = strings.TrimSpace(string(b)); found == "haproxy" {
				return found
			}
		}
	}
	return found
}

// stats requests the stats page without a password. Status 401, or 200 for an allowed address, shows that the page is there.
func (m *Machine) stats(at netip.AddrPort) step {
	return step{fmt.Sprintf("the stats page answers on %v", at), func(ctx context.Context) (string, error) {
		const wayOut = "systemctl status haproxy"
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", at.String())
		if err != nil {
			return "", not(wayOut, "%v", err)
		}
		defer conn.Close()
		if deadline, ok := ctx.Deadline(); ok {
			conn.SetDeadline(deadline)
		}
		if _, err := fmt.Fprintf(conn, "GET / HTTP/1.0\r\nHost: %v\r\n\r\n", at); err != nil {
			return "", not(wayOut, "%v", err)
		}
		line, err := bufio.NewReader(io.LimitReader(conn, 4096)).ReadString('\n')
		if err != nil {
			return "", not(wayOut, "no answer: %v", err)
		}
		f := strings.Fields(line)
		if len(f) < 2 || !strings.HasPrefix(f[0], "HTTP/") {
			return "", not(wayOut, "the answer is not HTTP: %.40q", line)
		}
		switch f[1] {
		case "401":
			return "it asks for a password", nil
		case "200", "403":
			return "status " + f[1], nil
		}
		return "", not(wayOut, "status %s", f[1])
	}}
}

// log checks that haproxy's log messages are received, as far as this machine can determine.
func (m *Machine) log(c *config.Config) step {
	return step{"haproxy's log is received", func(context.Context) (string, error) {
		b, err := regular.ReadFile(m.path(c.HAProxy.Config), regular.MaxConfig)
		if err != nil {
			return "", fmt.Errorf("cannot read %s: %w", c.HAProxy.Config, reason(err))
		}
		targets := haproxy.LogTargets(string(b))
		if targets == nil {
			return "", not("add a log line to the global section", "%s has no log target", c.HAProxy.Config)
		}
		for _, t := range targets {
			if err := m.taken(t); err != nil {
				return "", err
			}
		}
		return strings.Join(targets, ", "), nil
	}}
}

// taken returns an error if messages to a log target are not received, and nil otherwise.
func (m *Machine) taken(target string) error {
	if strings.HasPrefix(target, "/") {
		if fi, err := os.Stat(m.path(target)); err != nil || fi.Mode()&os.ModeSocket == 0 {
			return not("systemctl status systemd-journald-dev-log.socket rsyslog.service", "%s is not a socket", target)
		}
		return nil
	}
	at, err := netip.ParseAddrPort(target)
	if err != nil {
		addr, err := netip.ParseAddr(target)
		if err != nil {
			return nil // a name, a ring or a file descriptor, which haproxy -c has checked
		}
		at = netip.AddrPortFrom(addr, 514) // haproxy's default is the port of syslog
	}
	own := false
	held, err := m.Addresses()
	if err != nil {
		return err
	}
	for _, h := range held {
		own = own || h.Address == at.Addr()
	}
	if !own {
		return nil // an address of another machine, which UDP cannot check
	}
	for _, name := range []string{"udp", "udp6"} {
		all, err := m.sockets(name)
		if err != nil {
			return err
		}
		for _, s := range all {
			if s.takes(at) {
				return nil
			}
		}
	}
	return not("make rsyslog listen on it (imudp)", "no program listens for UDP syslog on %v", at)
}
