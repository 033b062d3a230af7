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

// withinNet is like within for a network namespace alone: paths have the same meaning as here. The thread leaves the
// namespace after f and is used again, because to start and end a thread for each of many hundred connections a second costs
// more than the connections do.
func withinNet(path string, f func() error) error {
	return onThread(func() (clean bool, err error) {
		own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return true, fmt.Errorf("cannot open the thread's network namespace: %w", err)
		}
		defer unix.Close(own)
		other, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return true, fmt.Errorf("cannot open %s: %w", path, err)
		}
		defer unix.Close(other)
		if err := unix.Setns(other, unix.CLONE_NEWNET); err != nil {
			return true, fmt.Errorf("cannot enter %s: %w", path, err)
		}
		err = f()
		return unix.Setns(own, unix.CLONE_NEWNET) == nil, err
	})
}

func inNamespaces(f func() error, namespaces ...namespace) error {
	return onThread(func() (bool, error) {
		err := joinNamespaces(namespaces)
		if err == nil {
			err = f()
		}
		return false, err
	})
}

// onThread runs f on a thread of its own, but not on the main thread: that cannot end, and its namespaces are those that
// /proc/self shows. The thread ends with f unless f reports that the thread is clean, which means as it was before.
func onThread(f func() (clean bool, err error)) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // if it is never unlocked, the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			defer runtime.UnlockOSThread()
			result <- onThread(f)
			return
		}
		clean, err := f()
		if clean {
			runtime.UnlockOSThread()
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
