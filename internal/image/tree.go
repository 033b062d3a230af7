package image

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/install"
)

// tree gives access to the files of an opened image. It only reads files and never runs them.
type tree struct{ root }

var _ install.System = tree{}

// Stat describes the file at a path; see install.System.
func (t tree) Stat(p string, follow bool) (fs.FileInfo, error) {
	st, err := t.stat(p, follow)
	if err != nil {
		return nil, err
	}
	return fileInfo{path.Base(p), st}, nil
}

func (t tree) stat(p string, follow bool) (st unix.Stat_t, err error) {
	flags := unix.O_PATH
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	f, err := t.open(p, flags, 0)
	if err != nil {
		return st, err
	}
	defer f.Close()
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return st, &fs.PathError{Op: "stat", Path: p, Err: err}
	}
	return st, nil
}

// Names lists a directory; see install.System.
func (t tree) Names(p string) ([]string, error) {
	d, err := t.dir(p)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// OpenFile opens a regular file; see install.System.
func (t tree) OpenFile(p string) (io.ReadCloser, error) {
	f, err := t.readFile(p)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// readLimit is the maximum number of bytes that are read of a file of an image, except for digests. A package database has a
// few MB.
const readLimit = 64 << 20

// read returns the content of a file. If the file does not exist, it returns nil without an error.
func (t tree) read(p string) ([]byte, error) {
	f, err := t.readFile(p)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, readLimit+1))
	if err == nil && len(b) > readLimit {
		err = &fs.PathError{Op: "read", Path: p, Err: errors.New("the file is too large")}
	}
	return b, err
}

// missing reports whether an error means that a file does not exist.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// fileInfo describes a file of an image.
type fileInfo struct {
	name string
	st   unix.Stat_t
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.st.Size }
func (i fileInfo) ModTime() time.Time { return time.Unix(i.st.Mtim.Unix()) }
func (i fileInfo) IsDir() bool        { return i.Mode().IsDir() }
func (i fileInfo) Sys() any           { return &i.st }

func (i fileInfo) Mode() fs.FileMode {
	mode := fs.FileMode(i.st.Mode & 0o777)
	switch i.st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	default:
		mode |= fs.ModeIrregular
	}
	return mode
}
