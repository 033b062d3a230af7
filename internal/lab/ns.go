package lab

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// within runs f on a thread of its own in the mount and network namespaces of a process. The thread ends with f: it
// never serves other goroutines. What f opens (files, sockets) stays in those namespaces and can be used anywhere.
func within(pid int, f func() error) error {
	return inNamespaces(pid, map[string]int{"mnt": unix.CLONE_NEWNS, "net": unix.CLONE_NEWNET}, f)
}

// withinNet is within for the network namespace alone: paths mean what they mean here.
func withinNet(pid int, f func() error) error {
	return inNamespaces(pid, map[string]int{"net": unix.CLONE_NEWNET}, f)
}

func inNamespaces(pid int, kinds map[string]int, f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// The main thread cannot end, and /proc/self would show its namespaces for ours. Another one, then.
			defer runtime.UnlockOSThread()
			result <- inNamespaces(pid, kinds, f)
			return
		}
		err := joinNamespaces(pid, kinds)
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

func joinNamespaces(pid int, kinds map[string]int) error {
	var fds []int
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	// All are opened first: after the mount namespace has changed, /proc is another one.
	var flags []int
	for name, flag := range kinds {
		path := fmt.Sprintf("/proc/%d/ns/%s", pid, name)
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("cannot open %s: %w", path, err)
		}
		fds, flags = append(fds, fd), append(flags, flag)
	}
	// A thread that shares its root and working directory with others may not change its mount namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("cannot unshare the working directory: %w", err)
	}
	for i, fd := range fds {
		if err := unix.Setns(fd, flags[i]); err != nil {
			return fmt.Errorf("cannot enter a namespace of process %d: %w", pid, err)
		}
	}
	return nil
}
