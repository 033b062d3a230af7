package image

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/archive"
)

// openCache opens the directory for base images. Its files are used for images, so only this process's user may be able to
// put files there.
func (o *Options) openCache() (*os.File, error) {
	dir, err := archive.TrustedDir(o.CacheDir)
	if err != nil {
		return nil, fmt.Errorf("cannot cache base images in %s: %w; or name another directory (--cache)", o.CacheDir, err)
	}
	return dir, nil
}

// cached opens a base image in the cache. If there is none, it returns nil without an error.
func (o *Options) cached(name string) (*os.File, error) {
	dir, err := o.openCache()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	f, err := archive.TrustedFile(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use a cached base: %w; or remove it", err)
	}
	return f, nil
}

// digestSuffix is the extension of the file beside a bootstrapped base that contains the digest of its content. A base made
// by an older version has no such file, and gets one when it is first used: only root can have put the base there.
const digestSuffix = ".content-sha256"

// cachedBootstrap opens a bootstrapped base and checks that it has not changed. If there is none, or if it has changed, it
// returns nil without an error.
func (o *Options) cachedBootstrap(ctx context.Context, name string) (*os.File, error) {
	f, err := o.cached(name)
	if f == nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot use a cached base: %w", err)
	}
	same := false
	err = o.stage("use "+f.Name()+", bootstrapped on "+info.ModTime().Format(time.DateOnly), func() error {
		same, err = o.unchanged(ctx, f)
		return err
	})
	if err == nil && same {
		return f, nil
	}
	f.Close()
	if err != nil {
		return nil, err
	}
	return nil, o.stage("warning: "+f.Name()+" has changed since it was bootstrapped, and is replaced", func() error { return nil })
}

// unchanged compares the content of an open base image with its digest. If there is no digest yet, it writes one.
func (o *Options) unchanged(ctx context.Context, f *os.File) (bool, error) {
	have, err := contentDigest(ctx, f)
	if err != nil {
		return false, fmt.Errorf("cannot read a cached base: %w", err)
	}
	kept, err := o.cached(filepath.Base(f.Name()) + digestSuffix)
	if err != nil {
		return false, err
	}
	if kept == nil {
		return true, o.keepDigest(f.Name(), have)
	}
	defer kept.Close()
	want, err := io.ReadAll(io.LimitReader(kept, 1024))
	if err != nil {
		return false, fmt.Errorf("cannot read a cached base: %w", err)
	}
	return strings.TrimSpace(string(want)) == have, nil
}

func (o *Options) keepDigest(path, digest string) error {
	f, err := newScratch(o.CacheDir)
	if err != nil {
		return err
	}
	defer f.discard()
	if _, err := f.WriteString(digest + "\n"); err != nil {
		return fmt.Errorf("cannot write %s: %w", path+digestSuffix, err)
	}
	return f.publish(path+digestSuffix, 0o600)
}

// digestBlock is the number of bytes that contentDigest reads at a time.
const digestBlock = 64 << 10

// contentDigest returns the SHA-256 of a sparse file's size and of each block that is not zero, with its offset. It does not
// read holes, and does not depend on where they are.
func contentDigest(ctx context.Context, f *os.File) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	number := func(n int64) { _ = binary.Write(hash, binary.LittleEndian, n) } // writing to a hash cannot fail
	number(info.Size())
	block, zero := make([]byte, digestBlock), make([]byte, digestBlock)
	for at := int64(0); at < info.Size(); {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		start, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // only a hole remains
		}
		if err != nil {
			return "", &fs.PathError{Op: "seek", Path: f.Name(), Err: err}
		}
		if start -= start % digestBlock; start < at {
			start = at
		}
		n, err := f.ReadAt(block, start)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if string(block[:n]) != string(zero[:n]) {
			number(start)
			hash.Write(block[:n])
		}
		at = start + digestBlock
	}
	return "content-sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}
