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

// Running returns the PID of a keepalived that may hold virtual IPs in this process's network namespace; 0 if there is none.
// proc is /proc. It ignores zombies, processes that only test a file, and processes of containers with their own network.
func Running(proc string) (pid int, err error) {
	own, err := os.Readlink(filepath.Join(proc, "thread-self/ns/net"))
	if err != nil {
		return 0, fmt.Errorf("cannot look for keepalived's processes: %w", err)
	}
	return find(proc, func(dir string, _ int) (bool, error) { return holds(dir, own) })
}

// find returns the PID of the first process for which match returns true; 0 if there is none. dir is the directory of a process
// in proc.
func find(proc string, match func(dir string, pid int) (bool, error)) (pid int, err error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return 0, fmt.Errorf("cannot look for keepalived's processes: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		found, err := match(filepath.Join(proc, e.Name()), pid)
		if err != nil {
			return 0, fmt.Errorf("cannot determine whether process %d is keepalived: %w", pid, err)
		}
		if found {
			return pid, nil
		}
	}
	return 0, nil
}

// holds reports whether the process of a directory in /proc is a keepalived that may hold virtual IPs. One that has exited
// meanwhile is not.
func holds(dir, netns string) (bool, error) {
	comm, err := os.ReadFile(filepath.Join(dir, "comm"))
	if err != nil {
		return false, gone(err)
	}
	// A zombie has no executable, although it is still listed.
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	if err != nil {
		// An unreadable executable of another program, or of the kernel, does not matter.
		if !bytes.HasPrefix(comm, []byte("keepalived")) {
			err = nil
		}
		return false, gone(err)
	}
	// After an upgrade of the package the process runs the deleted program. `process_names` changes the names, and other
	// programs have names that begin in the same way: keepalived_exporter.
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

// gone removes the error that a process has exited.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// asks reports whether a command line makes keepalived only print something and exit: keepalived(8).
func asks(args []string) bool {
	for _, a := range args[1:] {
		if a == "-t" || a == "-v" || a == "-h" || a == "--version" || a == "--help" ||
			strings.HasPrefix(a, "--config-test") || strings.HasPrefix(a, "--signum") {
			return true
		}
	}
	return false
}

// InterfacesAreMissing reports whether the only problem of a file is interfaces that this machine does not have, or does not
// have yet.
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
