package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Tap is a network card of a program, for example an emulator: what is written to File arrives on a network of the lab,
// one Ethernet frame at a time, behind the header of virtio (linux/virtio_net.h) if the tap was asked for it.
type Tap struct {
	*os.File
	lab  *Lab
	port string
}

// NewTap makes a tap and joins it to a network. It is gone when the last process has closed it.
func (l *Lab) NewTap(networkName string, virtioHeader bool) (*Tap, error) {
	t := &Tap{lab: l, port: l.newPort()}
	err := withinNet(l.space.netns(), func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		err = makeTap(fd, t.port, virtioHeader)
		// Go's poller must not see it before: a descriptor without its interface is in error, and stays so to epoll(7).
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

// makeTap makes the interface of a descriptor of /dev/net/tun; see tuntap.rst of the kernel's documentation.
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

// Command prepares a program that runs in the lab's own namespaces and is killed with the lab. Paths other than those below
// /run and /mnt mean what they mean outside. When ctx ends, its whole process group is killed.
func (l *Lab) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return l.space.command(ctx, name, args...)
}

// Command prepares a program of this machine whose network is the client's.
func (c *Client) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return enter(ctx, c.lab.space.pid, []string{"--net=" + c.lab.netnsPath(c.name)}, name, args...)
}
