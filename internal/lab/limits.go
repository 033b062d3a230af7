package lab

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// A host has the same limits of open files as a service of systemd on a real machine, independent of the limits of this
// process: a soft limit of 1024, for programs that use select(2), and the hard limit HIGH_RLIMIT_NOFILE, to which haproxy
// raises its own limit.
const (
	softOpenFiles = 1024
	hardOpenFiles = 512 << 10
)

// openFiles returns these limits in the format of prlimit(1) and systemd-nspawn(1).
func openFiles() string { return fmt.Sprintf("%d:%d", softOpenFiles, wantedOpenFiles()) }

// wantedOpenFiles returns the hard limit, which cannot exceed the kernel's limit: proc_sys_fs(5), nr_open.
func wantedOpenFiles() int {
	hard := hardOpenFiles
	var most int
	text, _ := os.ReadFile("/proc/sys/fs/nr_open")
	if _, err := fmt.Sscan(string(text), &most); err == nil {
		hard = min(hard, most)
	}
	return hard
}

// OpenFiles returns the hard limit of open files of hosts, and the limit on a real machine. The first is lower if this
// process has a lower limit and may not raise it.
func OpenFiles() (have, real int) {
	real = wantedOpenFiles()
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	if err != nil || limit.Max >= uint64(real) || hasCapability(unix.CAP_SYS_RESOURCE) {
		return real, real
	}
	return int(limit.Max), real
}

// withOpenFiles adds prlimit(1) before a command if this process has a lower hard limit and may raise it: setrlimit(2).
func withOpenFiles(argv ...string) []string {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Max >= uint64(wantedOpenFiles()) || !hasCapability(unix.CAP_SYS_RESOURCE) {
		return argv
	}
	return append([]string{"prlimit", "--nofile=" + openFiles()}, argv...)
}

func hasCapability(n int) bool {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		var set uint64
		if _, err := fmt.Sscanf(line, "CapEff: %x", &set); err == nil {
			return set&(1<<n) != 0
		}
	}
	return false
}
