package image

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is a separate mount namespace. One thread lives in it, runs functions for others, and is never returned to the
// Go runtime. When the thread ends, or is killed with the process, the kernel removes the mounts.
type namespace struct {
	tasks chan func()
}

func newNamespace() (*namespace, error) {
	n := &namespace{tasks: make(chan func())}
	ready := make(chan error)
	go n.live(ready)
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("cannot make a mount namespace: %w", err)
	}
	return n, nil
}

// live runs the thread. It must not use the process's first thread, which does not end with the goroutine that is locked to
// it, so that its mounts would remain. If it gets the first thread, it keeps that thread busy until it has another one.
func (n *namespace) live(ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		found := make(chan error)
		go n.live(found)
		ready <- <-found
		runtime.UnlockOSThread()
		return
	}
	err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	ready <- err
	if err != nil {
		return
	}
	for task := range n.tasks {
		task()
	}
}

// do runs f in the namespace. Processes that f starts are in the namespace too.
func (n *namespace) do(f func() error) error {
	result := make(chan error, 1)
	n.tasks <- func() { result <- f() }
	return <-result
}

// close ends the thread. The namespace ends with the last process in it.
func (n *namespace) close() { close(n.tasks) }
