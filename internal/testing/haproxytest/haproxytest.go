// Package haproxytest imitates haproxy's sockets in unit tests, for faults that a real haproxy cannot be made to show.
package haproxytest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Serve listens on a UNIX socket until the test ends, and returns its path. The connections, counted from 0, are handled by
// serve, each in its own goroutine, and closed when the test ends.
func Serve(t testing.TB, serve func(n int, c net.Conn)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go serve(n, c)
		}
	}()
	return path
}

// Answering serves a socket that answers one command per connection and closes it, and returns the socket's path.
func Answering(t testing.TB, answer func(command string) string) string {
	t.Helper()
	return Serve(t, func(_ int, c net.Conn) { Answer(c, answer) })
}

// Answer reads one command, answers it, and closes the connection.
func Answer(c net.Conn, answer func(command string) string) {
	defer c.Close()
	line, _ := bufio.NewReader(c).ReadString('\n')
	fmt.Fprint(c, answer(strings.TrimSpace(line)))
}

// Info returns an answer to `show info`. Stopping is 0 if the worker serves.
func Info(pid, stopping int) string {
	return fmt.Sprintf("Name: HAProxy\nVersion: 3.0.11\nPid: %d\nUptime_sec: 5\nStopping: %d\n\n", pid, stopping)
}

// Worker is a socket that answers `show info` like a worker, also in interactive mode. Its fields can be changed at any
// time.
type Worker struct {
	Path        string       // of the socket
	PID         atomic.Int64 // this process by default
	Stopping    atomic.Bool
	Silent      atomic.Bool  // it reads commands but does not answer
	Delay       atomic.Int64 // nanoseconds before an answer
	Connections atomic.Int64 // number of accepted connections
}

// NewWorker starts a Worker, which ends with the test.
func NewWorker(t testing.TB) *Worker {
	t.Helper()
	w := &Worker{}
	w.PID.Store(int64(os.Getpid()))
	w.Path = Serve(t, func(_ int, c net.Conn) { w.serve(c) })
	return w
}

func (w *Worker) serve(c net.Conn) {
	defer c.Close()
	w.Connections.Add(1)
	interactive := false
	for s := bufio.NewScanner(c); s.Scan(); {
		if w.Silent.Load() {
			continue
		}
		if s.Text() == "prompt" {
			interactive = true
			fmt.Fprint(c, "\n> ")
			continue
		}
		if d := time.Duration(w.Delay.Load()); d > 0 {
			<-time.After(d)
		}
		stopping := 0
		if w.Stopping.Load() {
			stopping = 1
		}
		fmt.Fprint(c, Info(int(w.PID.Load()), stopping))
		if !interactive {
			return
		}
		fmt.Fprint(c, "> ")
	}
}
