package metrics

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Process is the memory and processor time of this process.
type Process struct {
	OK        bool // the other fields are set
	CPU       time.Duration
	Resident  int64 // bytes
	OpenFiles int
}

// Self reads the values of this process: getrusage(2), and proc_pid_statm(5), whose second number is the resident pages.
func Self() Process {
	var usage unix.Rusage
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil || unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return Process{}
	}
	var size, resident int64
	if _, err := fmt.Fscan(bytes.NewReader(statm), &size, &resident); err != nil {
		return Process{}
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return Process{}
	}
	return Process{
		OK: true, CPU: time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
		Resident: resident * int64(os.Getpagesize()), OpenFiles: len(files),
	}
}
