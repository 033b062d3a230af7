package keepalived

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	return find(proc, func(dir string, pid int) (bool, error) {
		// A zombie has no command line, although it is still listed.
		b, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			return false, gone(err)
		}
		args := strings.Split(string(b), "\x00")
		if filepath.Base(args[0]) != "keepalived" || asks(args) {
			return false, nil
		}
		in, err := Cgroup(proc, pid)
		return err == nil && in == cgroup, nil
	})
}
