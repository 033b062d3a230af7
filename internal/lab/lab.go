package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Paths in the lab's mount namespace. Both are in memory, and disappear with the namespace.
const (
	labDir   = "/mnt"
	netnsDir = "/run/netns"
)

// Lab is a set of hosts and clients, connected by isolated networks.
type Lab struct {
	space *space
	links *netlink.Handle // for the hub's network namespace, which contains the bridges

	mu       sync.Mutex
	networks map[string]*network
	hosts    []*Host
	proxy    *Proxy
	services []*service
	bases    int
	ports    int
}

// labs counts the labs of this process, for the names of cgroups.
var labs atomic.Int64

// New creates an empty lab.
func New(ctx context.Context) (*Lab, error) {
	space, err := newSpace(ctx, spaceOptions{cgroup: fmt.Sprintf("hapair-lab-%d-%d", os.Getpid(), labs.Add(1))})
	if err != nil {
		return nil, err
	}
	l := &Lab{space: space, networks: map[string]*network{}}
	err = within(space.pid, func() error {
		for _, dir := range []string{labDir, "/run"} { // nspawn keeps locks in /run
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
				return fmt.Errorf("cannot mount a tmpfs on %s: %w", dir, err)
			}
		}
		return os.Mkdir(netnsDir, 0o755)
	})
	if err == nil {
		l.links, err = linksOf(space.netns())
	}
	if err == nil {
		err = setLink(l.links, "lo", true)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make a lab: %w", err), l.Close())
	}
	return l, nil
}

// Close kills all hosts and removes everything.
func (l *Lab) Close() error {
	l.mu.Lock()
	hosts, proxy, services := l.hosts, l.proxy, l.services
	l.mu.Unlock()
	if proxy != nil {
		proxy.close()
	}
	for _, s := range services {
		_ = s.server.Close()
	}
	for _, h := range hosts {
		h.Kill()
	}
	if l.links != nil {
		l.links.Close()
	}
	return l.space.close()
}

// path returns the location of a path of the lab's mount namespace, as seen from outside.
func (l *Lab) path(p string) string { return l.space.root() + p }

// Base is a root for hosts. It is not changed, because each host has its own overlay on it.
type Base struct {
	dir string // path in the lab
}

// Directory makes a base from a root directory.
func (l *Lab) Directory(dir string) (*Base, error) {
	// The mount is cloned here, where the path has the caller's meaning, and attached in the lab.
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot use %s as a base: %w", dir, err)
	}
	defer unix.Close(tree)
	return l.addBase(func(target string) error {
		if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return err
		}
		// If systemd has made mounts shared, the clone would still be a peer of the original.
		return unix.Mount("", target, "", unix.MS_PRIVATE, "")
	})
}

// addBase calls mount to put a root on a directory of the lab.
func (l *Lab) addBase(mount func(target string) error) (*Base, error) {
	l.mu.Lock()
	l.bases++
	b := &Base{fmt.Sprintf("%s/base%d", labDir, l.bases)}
	l.mu.Unlock()
	users, err := hostUserNamespace()
	if err != nil {
		return nil, err
	}
	defer users.Close()
	err = within(l.space.pid, func() error {
		if err := os.MkdirAll(b.dir, 0o755); err != nil {
			return err
		}
		if err := mount(b.dir); err != nil {
			return err
		}
		if err := shifted(b.dir, b.dir+shiftedSuffix, users); err != nil {
			_ = os.Remove(b.dir + shiftedSuffix) // mountDisk checks that it does not exist
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot mount a base: %w", err)
	}
	if _, err := os.Stat(l.path(filepath.Join(b.dir, "etc"))); err != nil {
		return nil, fmt.Errorf("cannot use it as a base: it has no /etc: %w", err)
	}
	return b, nil
}

// newNetns creates a named network namespace, which a bind mount in the lab keeps alive.
func (l *Lab) newNetns(ctx context.Context, name string) error {
	file := netnsDir + "/" + name
	out, status, err := run(l.space.command(ctx, "sh", "-c", `: >"$1" && unshare --net="$1" true`, "sh", file))
	if err == nil && status != 0 {
		err = errors.New(strings.TrimSpace(out))
	}
	if err != nil {
		return fmt.Errorf("cannot make the network namespace of %s: %w", name, err)
	}
	return nil
}

func (l *Lab) netnsPath(name string) string { return l.path(netnsDir + "/" + name) }
