package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// getBase finds, downloads or makes the base, and tells where it lies.
func getBase(ctx context.Context, o *Options) (file string, info BaseInfo, err error) {
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
	var digest string
	err = o.stage("read the base", func() (err error) {
		digest, err = fileDigest(ctx, o.Base)
		return err
	})
	if err != nil {
		return "", info, fmt.Errorf("cannot read the base: %w", err)
	}
	if o.BaseSHA256 != "" && !strings.EqualFold(o.BaseSHA256, digest) {
		return "", info, fmt.Errorf("cannot use the base %s: its SHA-256 is %s, and not %s", o.Base, digest, o.BaseSHA256)
	}
	return o.Base, BaseInfo{filepath.Base(o.Base), "sha256:" + digest}, nil
}

func isURL(base string) bool {
	return strings.HasPrefix(base, "http://") || strings.HasPrefix(base, "https://")
}

// fetch downloads a base into the cache, under the name of its digest: bytes that are not what they should be are never
// given a name.
func fetch(ctx context.Context, o *Options) (string, error) {
	want := strings.ToLower(o.BaseSHA256)
	file := filepath.Join(o.CacheDir, "sha256-"+want+".img")
	if have, err := fileDigest(ctx, file); err == nil && have == want {
		o.line("found in the cache: " + file)
		return file, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.Base, nil)
	if err != nil {
		return "", fmt.Errorf("cannot download the base: %w", err)
	}
	resp, err := o.client().Do(req)
	if err != nil {
		return "", fmt.Errorf("cannot download the base: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("cannot download the base: %s answers %s", o.Base, resp.Status)
	}
	to, err := newScratch(o.CacheDir)
	if err != nil {
		return "", err
	}
	defer to.discard()
	hash := sha256.New()
	body := &counted{r: &cancelled{ctx, resp.Body}, total: resp.ContentLength, tell: o.fraction}
	if _, err := io.Copy(io.MultiWriter(to, hash), body); err != nil {
		return "", fmt.Errorf("cannot download the base: %w", err)
	}
	if have := hex.EncodeToString(hash.Sum(nil)); have != want {
		return "", fmt.Errorf("cannot use the base %s: its SHA-256 is %s, and not %s", o.Base, have, want)
	}
	return file, to.publish(file, 0o644)
}

// counted is a reader that tells how far it is, each time that another hundredth is done.
type counted struct {
	r           io.Reader
	done, total int64
	told        int64
	tell        func(float64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.done += int64(n)
	if c.total > 0 && c.done*100/c.total > c.told {
		c.told = c.done * 100 / c.total
		c.tell(float64(c.done) / float64(c.total))
	}
	return n, err
}

func fileDigest(ctx context.Context, file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, &cancelled{ctx, f}); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// qcow2Magic begins a qcow2 image; see qemu's docs/interop/qcow2.txt.
const qcow2Magic = "QFI\xfb"

// copyBase makes a raw disk of the base.
func copyBase(ctx context.Context, base *os.File, to *os.File) error {
	magic := make([]byte, len(qcow2Magic))
	if _, err := base.ReadAt(magic, 0); err != nil {
		return fmt.Errorf("cannot read the base: %w", err)
	}
	if string(magic) != qcow2Magic {
		return copySparse(ctx, base, to)
	}
	if err := checkQCOW2(ctx, base); err != nil {
		return err
	}
	return convert(ctx, base, "qcow2", to, "raw")
}

// checkQCOW2 refuses an image that refers to other files: it could name any of this machine's.
func checkQCOW2(ctx context.Context, f *os.File) error {
	out, err := onFile(ctx, f, "qemu-img", "info", "-f", "qcow2", "--output=json", "/proc/self/fd/3")
	if err != nil {
		return fmt.Errorf("cannot read the base: %w", err)
	}
	var info struct {
		Backing  string `json:"backing-filename"`
		Specific struct {
			Data struct {
				File string `json:"data-file"`
			} `json:"data"`
		} `json:"format-specific"`
	}
	if err := json.Unmarshal(out, &info); err != nil {
		return fmt.Errorf("cannot read the base: %w", err)
	}
	if other := info.Backing + info.Specific.Data.File; other != "" {
		return fmt.Errorf("cannot use the base: it is only a part, and the rest lies in %s: make it whole with qemu-img convert", other)
	}
	return nil
}

// convert runs qemu-img from one open file to another.
func convert(ctx context.Context, from *os.File, fromFormat string, to *os.File, toFormat string, args ...string) error {
	path, err := lookTool("qemu-img")
	if err != nil {
		return err
	}
	args = append([]string{"convert", "-f", fromFormat, "-O", toFormat}, args...)
	cmd := exec.CommandContext(ctx, path, append(args, "/proc/self/fd/3", "/proc/self/fd/4")...)
	cmd.Env = toolEnv()
	cmd.ExtraFiles = []*os.File{from, to}
	if _, err := output(ctx, cmd); err != nil {
		return fmt.Errorf("cannot convert the image: %w", err)
	}
	return nil
}

// copySparse copies what is not a hole, by sharing its blocks where the file system can.
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
			return nil // only a hole is left
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
