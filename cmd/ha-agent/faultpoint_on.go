//go:build faultpoints

package main

import (
	"os"
	"strings"
	"syscall"
)

// faultPoint names the step of a change at which a build for tests ends itself as an operator's SIGKILL would, once.
const faultPoint = "/run/ha-agent/faultpoint"

// point ends this process where the file names the step, or stops it where it says STOP before that. After PANIC it panics
// instead, each time, for as long as the file is there.
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
	select {} // until the signal is there
}
