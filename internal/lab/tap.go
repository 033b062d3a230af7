package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Tap is a network card for a program, for example an emulator. Each write to File sends one Ethernet frame to a network of
// the lab. If requested, each frame has the header of virtio (linux/virtio_net.h).
type Tap struct {
	*os.File
	lab  *Lab
	port string
}

// NewTap creates a tap and connects it to a network. It disappears when the last process closes it.
func (l *Lab) NewTap(networkName string, virtioHeader bool) (*Tap, error) {
	t := &Tap{lab: l, port: l.newPort()}
	err := withinNet(l.space.netns(), func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		err = makeTap(fd, t.port, virtioHeader)
		// Go's poller must not see the descriptor earlier: without an interface it is in an error state, which epoll(7)
		// would not forget.
		t.File = os.NewFile(uintptr(fd), t.port)
		return err
	})
	if err == nil {
		err = l.join(t.port, networkName)
	}
	if err == nil {
		err = setLink(l.links, t.port, true)
	}
	if err != nil {
		if t.File != nil {
			t.Close()
		}
		return nil, fmt.Errorf("cannot make a tap on the network %s: %w", networkName, err)
	}
	return t, nil
}

// makeTap creates the interface for a descriptor of /dev/net/tun; see tuntap.rst in the kernel's documentation.
func makeTap(fd int, name string, virtioHeader bool) error {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if virtioHeader {
		flags |= unix.IFF_VNET_HDR
	}
	request.SetUint16(flags)
	return unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
}

// Command returns a program that runs in the lab's own namespaces and is killed with the lab. Paths have the same meaning as
// outside, except below /run and /mnt. When ctx ends, its whole process group is killed.
func (l *Lab) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return l.space.command(ctx, name, args...)
}

// Command returns a program of this machine that uses the client's network.
func (c *Client) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return enter(ctx, c.lab.space.pid, []string{"--net=" + c.lab.netnsPath(c.name)}, name, args...)
}
