package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// getBase finds, downloads or bootstraps the base image, and opens it. Later reads use the file that was checked, even if
// its name then leads to another file.
func getBase(ctx context.Context, o *Options) (file *os.File, info BaseInfo, err error) {
	switch {
	case o.Base == Bootstrap:
		return bootstrapBase(ctx, o)
	case isURL(o.Base):
		err = o.stage("download the base", func() (err error) {
			file, err = fetch(ctx, o)
			return err
		})
		return file, BaseInfo{o.Base, "sha256:" + strings.ToLower(o.BaseSHA256)}, err
	}
	if file, err = openRegular(o.Base); err != nil {
		return nil, info, fmt.Errorf("cannot read the base: %w", err)
	}
	var digest string
	err = o.stage("read the base", func() (err error) {
		digest, err = fileDigest(ctx, file)
		return err
	})
	if err != nil {
		file.Close()
		return nil, info, fmt.Errorf("cannot read the base: %w", err)
	}
	if o.BaseSHA256 != "" && !strings.EqualFold(o.BaseSHA256, digest) {
		file.Close()
		return nil, info, fmt.Errorf("cannot use the base %s: its SHA-256 is %s, want %s", o.Base, digest, o.BaseSHA256)
	}
	return file, BaseInfo{filepath.Base(o.Base), "sha256:" + digest}, nil
}

// openRegular opens a regular file for reading. It refuses a device, and a pipe, which would wait for a writer.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func isURL(base string) bool {
	return strings.HasPrefix(base, "http://") || strings.HasPrefix(base, "https://")
}

// fetch downloads a base image into the cache. The file's name contains its digest, and the file gets that name only after
// the digest was checked.
func fetch(ctx context.Context, o *Options) (*os.File, error) {
	want := strings.ToLower(o.BaseSHA256)
	name := "sha256-" + want + ".img"
	file, err := o.cached(name)
	if err != nil {
		return nil, err
	}
	if file != nil {
		if have, err := fileDigest(ctx, file); err == nil && have == want {
			o.line("found in the cache: " + file.Name())
			return file, nil
		}
		file.Close()
	}
	if err := download(ctx, o, want, filepath.Join(o.CacheDir, name)); err != nil {
		return nil, err
	}
	return o.cached(name)
}

func download(ctx context.Context, o *Options, want, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.Base, nil)
	if err != nil {
		return fmt.Errorf("cannot download the base: %w", err)
	}
	resp, err := o.client().Do(req)
	if err != nil {
		return fmt.Errorf("cannot download the base: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("cannot download the base: %s returned %s", o.Base, resp.Status)
	}
	to, err := newScratch(o.CacheDir)
	if err != nil {
		return err
	}
	defer to.discard()
	hash := sha256.New()
	body := &counted{r: &cancelled{ctx, resp.Body}, total: resp.ContentLength, report: o.fraction}
	if _, err := io.Copy(io.MultiWriter(to, hash), body); err != nil {
		return fmt.Errorf("cannot download the base: %w", err)
	}
	if have := hex.EncodeToString(hash.Sum(nil)); have != want {
		return fmt.Errorf("cannot use the base %s: its SHA-256 is %s, want %s", o.Base, have, want)
	}
	return to.publish(file, 0o644)
}

// counted is a reader that reports its progress each time another hundredth is done.
type counted struct {
	r           io.Reader
	done, total int64
	reported    int64
	report      func(float64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.done += int64(n)
	if c.total > 0 && c.done*100/c.total > c.reported {
		c.reported = c.done * 100 / c.total
		c.report(float64(c.done) / float64(c.total))
	}
	return n, err
}

// fileDigest returns the SHA-256 of a whole file.
func fileDigest(ctx context.Context, f *os.File) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, &cancelled{ctx, f}); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// copySparse copies everything except holes. If the file system can share blocks, it shares them.
func copySparse(ctx context.Context, from, to *os.File) error {
	if unix.IoctlFileClone(int(to.Fd()), int(from.Fd())) == nil {
		return nil
	}
	info, err := from.Stat()
	if err != nil {
		return fmt.Errorf("cannot copy the base: %w", err)
	}
	if err := to.Truncate(info.Size()); err != nil {
		return fmt.Errorf("cannot copy the base: %w", err)
	}
	const chunk = 64 << 20
	for at := int64(0); at < info.Size(); {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		start, err := from.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // only a hole remains
		}
		if err != nil {
			return fmt.Errorf("cannot copy the base: %w", err)
		}
		end, err := from.Seek(start, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("cannot copy the base: %w", err)
		}
		end = min(end, start+chunk)
		if err := copyRange(from, to, start, end); err != nil {
			return fmt.Errorf("cannot copy the base: %w", err)
		}
		at = end
	}
	return nil
}

func copyRange(from, to *os.File, start, end int64) error {
	if _, err := from.Seek(start, io.SeekStart); err != nil {
		return err
	}
	if _, err := to.Seek(start, io.SeekStart); err != nil {
		return err
	}
	_, err := io.CopyN(to, from, end-start)
	return err
}
