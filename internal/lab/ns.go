package lab

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is one that a thread may enter: a file of it below /proc or a bind mount of that, and its CLONE_NEW flag.
type namespace struct {
	path string
	flag int
}

// within runs f on a thread of its own in the mount and network namespaces of a process. The thread ends with f: it
// never serves other goroutines. What f opens (files, sockets) stays in those namespaces and can be used anywhere.
func within(pid int, f func() error) error {
	return inNamespaces(f, namespace{fmt.Sprintf("/proc/%d/ns/net", pid), unix.CLONE_NEWNET}, namespace{fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.CLONE_NEWNS})
}

// withinNet is within for a network namespace alone: paths mean what they mean here.
func withinNet(path string, f func() error) error {
	return inNamespaces(f, namespace{path, unix.CLONE_NEWNET})
}

func inNamespaces(f func() error, namespaces ...namespace) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and not unlocked: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// The main thread cannot end, and /proc/self would show its namespaces for ours. Another one, then.
			defer runtime.UnlockOSThread()
			result <- inNamespaces(f, namespaces...)
			return
		}
		err := joinNamespaces(namespaces)
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

func joinNamespaces(namespaces []namespace) error {
	var fds []int
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	// All are opened first: after the mount namespace has changed, /proc is another one.
	for _, ns := range namespaces {
		fd, err := unix.Open(ns.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("cannot open %s: %w", ns.path, err)
		}
		fds = append(fds, fd)
	}
	// A thread that shares its root and working directory with others may not change its mount namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("cannot unshare the working directory: %w", err)
	}
	for i, fd := range fds {
		if err := unix.Setns(fd, namespaces[i].flag); err != nil {
			return fmt.Errorf("cannot enter %s: %w", namespaces[i].path, err)
		}
	}
	return nil
}
