package keepalived

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/hapair/hapair/internal/validator"
)

// Running finds a process of a keepalived that may hold virtual IPs in this process's network namespace; 0 means that
// there is none. proc is /proc. One that has ended and was not waited for yet does not count, nor one that only tests a
// file, nor one of a container with a network of its own.
func Running(proc string) (pid int, err error) {
	own, err := os.Readlink(filepath.Join(proc, "thread-self/ns/net"))
	if err != nil {
		return 0, fmt.Errorf("cannot look for keepalived's processes: %w", err)
	}
	entries, err := os.ReadDir(proc)
	if err != nil {
		return 0, fmt.Errorf("cannot look for keepalived's processes: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		found, err := holds(filepath.Join(proc, e.Name()), own)
		if err != nil {
			return 0, fmt.Errorf("cannot tell whether process %d is keepalived: %w", pid, err)
		}
		if found {
			return pid, nil
		}
	}
	return 0, nil
}

// holds tells whether the process of a directory of /proc is a keepalived that may hold virtual IPs. One that has ended
// meanwhile is not.
func holds(dir, netns string) (bool, error) {
	comm, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil {
		return false, gone(err)
	}
	// A process that has ended has no executable any more, though it may still be listed.
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	if err != nil {
		// Of other processes, as the kernel's own, the executable does not matter.
		if !bytes.HasPrefix(comm, []byte("keepalived")) {
			err = nil
		}
		return false, gone(err)
	}
	// A package that was upgraded leaves the old program running, `process_names` gives other names, and others have names
	// that begin like this one: keepalived_exporter.
	if filepath.Base(strings.TrimSuffix(exe, " (deleted)")) != "keepalived" {
		return false, nil
	}
	ns, err := os.Readlink(filepath.Join(dir, "ns/net"))
	if err != nil {
		return false, gone(err)
	}
	cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return false, gone(err)
	}
	return ns == netns && !asks(strings.Split(string(cmdline), "\x00")), nil
}

// gone takes it for no error that a process has ended.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// asks tells whether a command line only has keepalived tell something and end: keepalived(8).
func asks(args []string) bool {
	for _, a := range args[1:] {
		if a == "-t" || a == "-v" || a == "-h" || a == "--version" || a == "--help" ||
			strings.HasPrefix(a, "--config-test") || strings.HasPrefix(a, "--signum") {
			return true
		}
	}
	return false
}

// InterfacesAreMissing tells whether a file is bad for nothing but interfaces that this machine does not have, or not yet.
func InterfacesAreMissing(a validator.Answer) bool {
	if a.Verdict != validator.Bad || len(a.Messages) == 0 {
		return false
	}
	for _, m := range a.Messages {
		missing := strings.Contains(m, "interface ") && strings.HasSuffix(m, " doesn't exist")
		if !missing && m != "Non-existent interface specified in configuration" {
			return false
		}
	}
	return true
}
