// Command minimal is the minimum for a check in Go: it queries haproxy's socket, and accepts any answer. ha-agent check is
// compared with it.
package main

import (
	"os"
	"syscall"
)

func main() {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: "/run/haproxy/check.sock"})
	}
	if err == nil {
		_, err = syscall.Write(fd, []byte("show info\n"))
	}
	var answer [16 << 10]byte
	n := 0
	for err == nil && n < len(answer) {
		var got int
		if got, err = syscall.Read(fd, answer[n:]); got == 0 {
			break
		}
		n += got
	}
	if err != nil || n == 0 {
		os.Exit(1)
	}
}
