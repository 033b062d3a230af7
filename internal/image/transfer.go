package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Upload writes a file of the image; see install.Machine. Links cannot lead out of the image.
func (m *Machine) Upload(ctx context.Context, p string, mode fs.FileMode, content io.Reader) error {
	d, name, err := m.opened.root.parent(p)
	if err != nil {
		return fmt.Errorf("cannot write %s in the image: %w", p, err)
	}
	defer d.Close()
	digest, err := d.write(name, mode, &cancelled{ctx, content})
	if err != nil {
		return fmt.Errorf("cannot write %s in the image: %w", p, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[path.Clean("/"+p)] = digest
	return nil
}

// write writes a file to the directory r, replacing a file or link with that name, and returns its digest. It does not sync
// the file, because nothing has to be durable before the image is published.
func (r root) write(name string, mode fs.FileMode, content io.Reader) (digest string, err error) {
	temp := tempName(name)
	_ = unix.Unlinkat(int(r.Fd()), temp, 0)
	fd, err := unix.Openat(int(r.Fd()), temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() {
		f.Close()
		if err != nil {
			_ = unix.Unlinkat(int(r.Fd()), temp, 0)
		}
	}()
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, hash), content); err != nil {
		return "", err
	}
	if err := unix.Fchown(fd, 0, 0); err != nil {
		return "", err
	}
	if err := f.Chmod(mode); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), r.rename(temp, name)
}

// Download copies a regular file of the image to w.
func (m *Machine) Download(ctx context.Context, p string, w io.Writer) error {
	f, err := m.opened.root.readFile(p)
	if err != nil {
		return fmt.Errorf("cannot read %s of the image: %w", p, err)
	}
	defer f.Close()
	if _, err := io.Copy(w, &cancelled{ctx, f}); err != nil {
		return fmt.Errorf("cannot read %s of the image: %w", p, err)
	}
	return nil
}

// UploadDir copies the directory src of this machine to the directory dst of the image, which is created if it does not
// exist. Files named in exclude (relative to src) are skipped. Links are copied as links. Any other type of file is an
// error.
func (m *Machine) UploadDir(ctx context.Context, dst, src string, exclude []string) error {
	return filepath.WalkDir(src, func(from string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", from, err)
		}
		rel, err := filepath.Rel(src, from)
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", from, err)
		}
		if slices.Contains(exclude, rel) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return m.uploadEntry(ctx, path.Join(dst, filepath.ToSlash(rel)), from, entry)
	})
}

func (m *Machine) uploadEntry(ctx context.Context, to, from string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", from, err)
	}
	switch {
	case info.IsDir():
		err = m.opened.root.mkdirAll(to, info.Mode())
	case info.Mode()&fs.ModeSymlink != 0:
		var target string
		if target, err = os.Readlink(from); err == nil {
			err = m.opened.root.symlink(target, to)
		}
	case info.Mode().IsRegular():
		return m.uploadFile(ctx, to, from, info.Mode().Perm())
	default:
		return fmt.Errorf("cannot upload %s: it is not a file, a directory or a link", from)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s in the image: %w", to, err)
	}
	return nil
}

func (m *Machine) uploadFile(ctx context.Context, to, from string, mode fs.FileMode) error {
	f, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", from, err)
	}
	defer f.Close()
	return m.Upload(ctx, to, mode, f)
}

// cancelled is a reader that returns an error when its context ends.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, c.ctx.Err()
	}
	return c.r.Read(p)
}
