// Package regular reads regular files of a bounded size. A FIFO, a device, a socket or a directory in the place of a
// file is an error at once: it never blocks the reader, and a file of any size never fills the memory.
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

// Limits of what hapair reads.
const (
	// MaxConfig limits a configuration file of haproxy, keepalived or the kernel: 100,000 services have less.
	MaxConfig = 64 << 20
	// MaxState limits a file in which the agent keeps its own state, and a file in /proc or /sys.
	MaxState = 16 << 20
)

// ErrUnusable is the class of the errors about what a path leads to: not a regular file, or one that is too large. They
// stay until somebody replaces the file, unlike an I/O error.
var ErrUnusable = errors.New("unusable file")

// ErrTooLarge is an ErrUnusable: the file has more bytes than the limit.
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

// ReadFile returns the content of the regular file at path, which must not have more than limit bytes. A symbolic link is
// followed. Each error is a *fs.PathError.
func ReadFile(path string, limit int64) ([]byte, error) {
	data, _, err := ReadFileInfo(path, limit)
	return data, err
}

// ReadFileInfo is like ReadFile and also describes the file that was read.
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
	if int64(len(data)) > limit { // it grows, or it is in /proc, where files have a size of 0
		return nil, nil, pathError(path, unusable{"has more than " + size(limit), true})
	}
	return data, info, nil
}

// Open opens the regular file at path, of any size, for a reader that keeps nothing of it in memory.
func Open(path string) (*os.File, error) {
	f, _, err := open(path, math.MaxInt64)
	return f, err
}

func open(path string, limit int64) (*os.File, fs.FileInfo, error) {
	// To open a device can have effects of its own: a watchdog starts, a tape rewinds. So it is not opened at all.
	if err := Check(path, limit); err != nil {
		return nil, nil, err
	}
	// O_NONBLOCK and the second check are for a FIFO that has replaced the file since.
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

// Check returns the error that ReadFile would return about the kind or the size of the file, without opening it.
func Check(path string, limit int64) error {
	info, err := os.Stat(path)
	if pe, ok := err.(*fs.PathError); ok {
		pe.Op = "open" // it is how readers of such messages know them
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

// size writes a number of bytes as an operator would: whole KiB and MiB by their unit.
func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("the limit of %d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("the limit of %d KiB", n>>10)
	}
	return fmt.Sprintf("the limit of %d bytes", n)
}
