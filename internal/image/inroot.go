package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// root is the top directory of an image. Paths are resolved as by a process in the image: an absolute link starts at the
// image's top, and links cannot lead out of it. See openat2(2), RESOLVE_IN_ROOT.
type root struct{ *os.File }

// open opens the file at a path.
func (r root) open(p string, flags int, mode fs.FileMode) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Mode:    uint64(mode.Perm()),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	for try := 0; ; try++ {
		fd, err := unix.Openat2(int(r.Fd()), p, &how)
		if err == nil {
			return os.NewFile(uintptr(fd), p), nil
		}
		// While anything on this machine is renamed or mounted, the kernel cannot resolve a ".." safely and returns EAGAIN.
		// The call must be repeated.
		if (err != unix.EAGAIN && err != unix.EINTR) || try == openTries {
			return nil, &fs.PathError{Op: "open", Path: p, Err: err}
		}
		runtime.Gosched()
	}
}

// openTries is the maximum number of attempts. Even on a machine with many renames, an attempt soon succeeds.
const openTries = 100_000

// dir opens a directory.
func (r root) dir(p string) (root, error) {
	f, err := r.open(p, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	return root{f}, err
}

// parent opens the parent directory of p, and returns p's name in it. The name itself is not resolved.
func (r root) parent(p string) (root, string, error) {
	p = path.Clean("/" + p)
	if p == "/" {
		return root{}, "", errors.New("the path does not name a file")
	}
	d, err := r.dir(path.Dir(p))
	return d, path.Base(p), err
}

// readFile opens a regular file for reading. It refuses a pipe or a device.
func (r root) readFile(p string) (*os.File, error) {
	f, err := r.open(p, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: p, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readlink returns the target of the link at p. It returns an error if p is not a link.
func (r root) readlink(p string) (string, error) {
	d, name, err := r.parent(p)
	if err != nil {
		return "", err
	}
	defer d.Close()
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(d.Fd()), name, buf)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: p, Err: err}
	}
	return string(buf[:n]), nil
}

// mkdirAll creates a directory and its parents.
func (r root) mkdirAll(p string, mode fs.FileMode) error {
	at := "/"
	for _, name := range strings.Split(strings.Trim(path.Clean("/"+p), "/"), "/") {
		if name == "" {
			continue
		}
		d, err := r.dir(at)
		if err != nil {
			return err
		}
		err = unix.Mkdirat(int(d.Fd()), name, uint32(mode.Perm()))
		d.Close()
		at = path.Join(at, name)
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return &fs.PathError{Op: "mkdir", Path: at, Err: err}
		}
	}
	d, err := r.dir(at)
	if err != nil {
		return err
	}
	return d.Close()
}

// remove removes the file or link at p. It is not an error if there is none.
func (r root) remove(p string) error {
	d, name, err := r.parent(p)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Unlinkat(int(d.Fd()), name, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return &fs.PathError{Op: "remove", Path: p, Err: err}
	}
	return nil
}

// symlink creates a link at p, and replaces a file or link there.
func (r root) symlink(target, p string) error {
	d, name, err := r.parent(p)
	if err != nil {
		return err
	}
	defer d.Close()
	temp := tempName(name)
	_ = unix.Unlinkat(int(d.Fd()), temp, 0)
	if err := unix.Symlinkat(target, int(d.Fd()), temp); err != nil {
		return &fs.PathError{Op: "symlink", Path: p, Err: err}
	}
	return d.rename(temp, name)
}

// rename renames a file within one directory.
func (r root) rename(from, to string) error {
	if err := unix.Renameat(int(r.Fd()), from, int(r.Fd()), to); err != nil {
		_ = unix.Unlinkat(int(r.Fd()), from, 0)
		return &fs.PathError{Op: "rename", Path: to, Err: err}
	}
	return nil
}

// tempName returns the name of a temporary file. It need not be random, because only this process has the image open.
func tempName(name string) string {
	if len(name) > 200 {
		name = name[:200]
	}
	return fmt.Sprintf(".%s.hapair-new", name)
}
