package lab

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is a namespace that a thread can enter: its file below /proc or a bind mount of that, and its CLONE_NEW flag.
type namespace struct {
	path string
	flag int
}

// within runs f on a separate thread in the mount and network namespaces of a process. The thread ends with f, and never
// runs other goroutines. Files and sockets that f opens stay in those namespaces, and can be used anywhere.
func within(pid int, f func() error) error {
	return inNamespaces(f, namespace{fmt.Sprintf("/proc/%d/ns/net", pid), unix.CLONE_NEWNET}, namespace{fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.CLONE_NEWNS})
}

// withinNet is like within for a network namespace alone: paths have the same meaning as here.
func withinNet(path string, f func() error) error {
	return inNamespaces(f, namespace{path, unix.CLONE_NEWNET})
}

func inNamespaces(f func() error, namespaces ...namespace) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, so that the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// The main thread cannot end, and its namespaces are those that /proc/self shows, so another thread must be
			// used.
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
	// Open all of them first, because /proc is different after the mount namespace has changed.
	for _, ns := range namespaces {
		fd, err := unix.Open(ns.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("cannot open %s: %w", ns.path, err)
		}
		fds = append(fds, fd)
	}
	// A thread that shares its root and working directory with others cannot change its mount namespace.
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
