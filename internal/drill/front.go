package drill

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/nearest"
)

// frontName is the address at which a running drill answers how to enter its nodes. It is an abstract address (unix(7)),
// which disappears with the drill, however it ends.
const frontName = "@hapair-drill"

// front answers with the process IDs of the hosts' systemd.
type front struct{ listener net.Listener }

func openFront(hosts []*lab.Host) (*front, error) {
	l, err := net.Listen("unix", frontName)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for 'bake drill shell': another drill is running (%w)", err)
	}
	go func() {
		// Any user may connect, so the number of connections and their duration are limited.
		slots := make(chan struct{}, 16)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			slots <- struct{}{}
			go func() {
				answer(conn, hosts)
				<-slots
			}()
		}
	}()
	return &front{l}, nil
}

func (f *front) close() {
	if f != nil {
		_ = f.listener.Close()
	}
}

// answer writes every host with the process ID of its systemd, which is 0 if the host is off.
func answer(conn net.Conn, hosts []*lab.Host) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	for _, h := range hosts {
		leader, _ := h.Leader()
		fmt.Fprintf(conn, "%s %d\n", h.Name, leader)
	}
}

// Enter finds a node of the running drill. It returns the beginning of a command line that runs a command on the node.
func Enter(ctx context.Context, node string) ([]string, error) {
	all, err := roster(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range all {
		if e.name == node || e.name == strings.ReplaceAll(node, "_", "-") {
			if e.leader <= 0 {
				return nil, fmt.Errorf("cannot enter %s: it is off", node)
			}
			return lab.EnterArgs(e.leader), nil
		}
		names = append(names, e.name)
	}
	return nil, fmt.Errorf("cannot find node %q in the drill: %s", node, nearest.OneOf(node, names))
}

// Nodes returns the names of the nodes of the running drill, if there is one.
func Nodes() []string {
	all, _ := roster(context.Background())
	var names []string
	for _, e := range all {
		names = append(names, e.name)
	}
	return names
}

// entered is a node of the running drill, with the process that leads its system, which is 0 if the node is off.
type entered struct {
	name   string
	leader int
}

// roster asks the running drill for its nodes.
func roster(ctx context.Context) ([]entered, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", frontName)
	if err != nil {
		return nil, errors.New("cannot find a running drill; start one with 'bake drill SPEC --keep'")
	}
	defer conn.Close()
	if err := ofRoot(conn); err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	var all []entered
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		var e entered
		if _, err := fmt.Sscan(lines.Text(), &e.name, &e.leader); err != nil {
			return nil, fmt.Errorf("cannot parse the answer of the drill: %w", err)
		}
		all = append(all, e)
	}
	return all, nil
}

// ofRoot checks that the listener belongs to root. Any user can take an abstract address, and could mislead root.
func ofRoot(conn net.Conn) error {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return fmt.Errorf("cannot determine who runs the drill: %w", err)
	}
	var cred *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(controlErr, err); err != nil {
		return fmt.Errorf("cannot determine who runs the drill: %w", err)
	}
	if cred.Uid != 0 {
		return fmt.Errorf("cannot trust the drill: user %d runs it, not root", cred.Uid)
	}
	return nil
}
