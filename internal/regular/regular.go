// Package regular reads regular files of limited size. A FIFO, a device, a socket or a directory in place of a file gives an
// error at once: it never blocks the reader. A large file never fills the memory.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"
)

// Limits for files that hapair reads.
const (
	// MaxConfig is the maximum size in bytes of a configuration file of haproxy, keepalived or the kernel. 100,000 services
	// need less.
	MaxConfig = 64 << 20
	// MaxState is the maximum size in bytes of a file with the agent's own state, and of a file in /proc or /sys.
	MaxState = 16 << 20
)

// ErrUnusable is the class of errors about the type or size of a file: it is not a regular file, or it is too large. Unlike
// an I/O error, such an error remains until the file is replaced.
var ErrUnusable = errors.New("unusable file")

// ErrTooLarge is an ErrUnusable: the file is larger than the limit.
var ErrTooLarge = errors.New("too large file")

// unusable is an ErrUnusable with its reason.
type unusable struct {
	why      string
	tooLarge bool
}

func (u unusable) Error() string { return u.why }
func (u unusable) Is(target error) bool {
	return target == ErrUnusable || target == ErrTooLarge && u.tooLarge
}

// ReadFile returns the content of the regular file at path, which must not have more than limit bytes. It follows symbolic
// links. Each error is a *fs.PathError.
func ReadFile(path string, limit int64) ([]byte, error) {
	data, _, err := ReadFileInfo(path, limit)
	return data, err
}

// ReadFileInfo is like ReadFile, and also returns information about the file.
func ReadFileInfo(path string, limit int64) ([]byte, fs.FileInfo, error) {
	f, info, err := open(path, limit)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(data)) > limit { // it grows, or it is in /proc, where files have size 0
		return nil, nil, pathError(path, unusable{"has more than " + size(limit), true})
	}
	return data, info, nil
}

// Open opens the regular file at path, of any size. The reader must not keep the whole content in memory.
func Open(path string) (*os.File, error) {
	f, _, err := open(path, math.MaxInt64)
	return f, err
}

func open(path string, limit int64) (*os.File, fs.FileInfo, error) {
	// Opening a device can have side effects: a watchdog starts, a tape rewinds. So the type is checked first.
	if err := Check(path, limit); err != nil {
		return nil, nil, err
	}
	// O_NONBLOCK and the second check are for a FIFO that has replaced the file in the meantime.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = check(path, info, limit)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// Check returns the error that ReadFile would return about the type or size of the file, without opening it.
func Check(path string, limit int64) error {
	info, err := os.Stat(path)
	if pe, ok := err.(*fs.PathError); ok {
		pe.Op = "open" // readers know such messages with this verb
	}
	if err != nil {
		return err
	}
	return check(path, info, limit)
}

func check(path string, info fs.FileInfo, limit int64) error {
	if !info.Mode().IsRegular() {
		return pathError(path, unusable{why: "is " + kind(info.Mode()) + ", not a regular file"})
	}
	if info.Size() > limit {
		return pathError(path, unusable{fmt.Sprintf("has %d bytes, which is more than %s", info.Size(), size(limit)), true})
	}
	return nil
}

func pathError(path string, u unusable) error {
	return &fs.PathError{Op: "read", Path: path, Err: u}
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}

// size formats a number of bytes for an operator: with the unit MiB or KiB if it is a multiple.
func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("the limit of %d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("the limit of %d KiB", n>>10)
	}
	return fmt.Sprintf("the limit of %d bytes", n)
}
