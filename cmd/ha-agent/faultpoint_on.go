//go:build faultpoints

package main

import (
	"os"
	"strings"
	"syscall"
)

// faultPoint is a file that contains the name of the step at which a test build ends itself with SIGKILL, once.
const faultPoint = "/run/ha-agent/faultpoint"

// point ends this process if the file contains the name of the step. If "STOP" comes before the name, it stops the process
// instead. If "PANIC" comes before the name, it panics, each time while the file exists.
func point(name string) {
	b, err := os.ReadFile(faultPoint)
	if err != nil {
		return
	}
	word := strings.TrimSpace(string(b))
	if word == "PANIC "+name {
		panic("the fault point of a test: " + name)
	}
	signal := syscall.SIGKILL
	if rest, ok := strings.CutPrefix(word, "STOP "); ok {
		word, signal = rest, syscall.SIGSTOP
	}
	if word != name || os.Remove(faultPoint) != nil {
		return
	}
	syscall.Kill(os.Getpid(), signal)
	select {} // until the signal arrives
}
