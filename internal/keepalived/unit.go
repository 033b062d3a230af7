package keepalived

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Cgroup returns the control group of a process, from its /proc/PID/cgroup.
func Cgroup(proc string, pid int) (string, error) {
	b, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return "", fmt.Errorf("cannot read the control group of process %d: %w", pid, err)
	}
	return string(b), nil
}

// Children returns the child processes of a process; none if the kernel does not list them.
func Children(proc string, pid int) []int {
	lists, _ := filepath.Glob(filepath.Join(proc, strconv.Itoa(pid), "task/*/children"))
	var all []int
	for _, list := range lists {
		b, _ := os.ReadFile(list)
		for _, word := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}

// RunningIn is like Running, but only finds a keepalived in a control group. It works without the permission to inspect the
// process, which an agent with fewer capabilities than keepalived does not have.
func RunningIn(proc, cgroup string) (pid int, err error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return 0, fmt.Errorf("cannot look for keepalived's processes: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A zombie has no command line, although it is still listed.
		b, err := os.ReadFile(filepath.Join(proc, e.Name(), "cmdline"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
			return 0, fmt.Errorf("cannot tell whether process %d is keepalived: %w", pid, err)
		}
		args := strings.Split(string(b), "\x00")
		if filepath.Base(args[0]) != "keepalived" || asks(args) {
			continue
		}
		if in, err := Cgroup(proc, pid); err == nil && in == cgroup {
			return pid, nil
		}
	}
	return 0, nil
}
