package image

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is a mount namespace of our own: one thread lives in it, does what it is told, and is never given back to
// the Go runtime. When it ends, or is killed with the process, the kernel takes the mounts away.
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

// live is the thread. The process's first thread outlives every goroutine that is locked to it, and its mounts with it:
// it is kept busy until another one was found.
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

// do runs f in the namespace. Processes that f starts live in it too.
func (n *namespace) do(f func() error) error {
	result := make(chan error, 1)
	n.tasks <- func() { result <- f() }
	return <-result
}

// close ends the thread, and the namespace once nothing else lives in it.
func (n *namespace) close() { close(n.tasks) }
