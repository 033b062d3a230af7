package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/testing/needs"
)

// cacheOf returns a cache that contains one base image.
func cacheOf(t *testing.T) (o Options, base string) {
	t.Helper()
	needs.Lab(t)
	o = Options{CacheDir: filepath.Join(t.TempDir(), "cache")}
	if err := os.Mkdir(o.CacheDir, 0o755); err != nil {
		t.Fatal(err)
	}
	base = filepath.Join(o.CacheDir, "base.raw")
	write(t, base, strings.Repeat("content\n", 1<<16))
	return o, base
}

// A base that others may have put into the cache, or can change there, must not be used.
func TestPlantedBase(t *testing.T) {
	for _, c := range []struct {
		name  string
		plant func(dir, base string) error
		want  string
	}{
		{"directory that all may write to", func(dir, _ string) error { return os.Chmod(dir, 0o777) }, "is writable by others (mode 0777)"},
		{"sticky directory", func(dir, _ string) error { return os.Chmod(dir, 0o777|os.ModeSticky) }, "is writable by others"},
		{"directory of another user", func(dir, _ string) error { return os.Chown(dir, 1000, 0) }, "belongs to user 1000"},
		{"directory that is a link", func(dir, _ string) error {
			return join(os.Rename(dir, dir+".real"), os.Symlink(dir+".real", dir))
		}, "is a symbolic link"},
		{"file of another user", func(_, base string) error { return os.Chown(base, 1000, 0) }, "belongs to user 1000"},
		{"file that a group may write to", func(_, base string) error { return os.Chmod(base, 0o664) }, "is writable by others"},
		{"link", func(_, base string) error { return join(os.Rename(base, base+".real"), os.Symlink(base+".real", base)) }, "is a symbolic link"},
		{"second name", func(_, base string) error { return os.Link(base, base+".too") }, "has 2 names"},
		{"directory in the file's place", func(_, base string) error { return join(os.Remove(base), os.Mkdir(base, 0o755)) }, "not a directory or a regular file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, base := cacheOf(t)
			if err := c.plant(o.CacheDir, base); err != nil {
				t.Fatal(err)
			}
			f, err := o.cachedBootstrap(t.Context(), "base.raw")
			if f != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("file %v, error %v; want %q", f, err, c.want)
			}
		})
	}
}

func join(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A base made by an older version has no digest and gets one. If it has changed after that, it must not be used.
func TestChangedBase(t *testing.T) {
	o, base := cacheOf(t)
	var steps []string
	o.Report = func(p install.Progress) {
		if p.Done {
			steps = append(steps, p.Step)
		}
	}
	for range 2 {
		f, err := o.cachedBootstrap(t.Context(), "base.raw")
		if err != nil || f == nil {
			t.Fatalf("file %v, error %v", f, err)
		}
		f.Close()
	}
	if _, err := os.Stat(base + digestSuffix); err != nil {
		t.Error(err)
	}
	f, err := os.OpenFile(base, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("X"), 100_000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err := o.cachedBootstrap(t.Context(), "base.raw"); f != nil || err != nil {
		t.Errorf("the changed base was used: %v, %v", f, err)
	}
	if last := steps[len(steps)-1]; !strings.Contains(last, "has changed since it was bootstrapped") {
		t.Errorf("steps: %q", steps)
	}
}

// The digest must not depend on where the file has holes, and must change with every change of content.
func TestContentDigest(t *testing.T) {
	dir := t.TempDir()
	digest := func(change func(f *os.File) error) string {
		f, err := os.CreateTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		_, err = f.WriteAt([]byte("data"), 3*digestBlock+17)
		if err := join(err, f.Truncate(10*digestBlock+5), change(f)); err != nil {
			t.Fatal(err)
		}
		d, err := contentDigest(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	writeAt := func(data []byte, at int64) func(*os.File) error {
		return func(f *os.File) error {
			_, err := f.WriteAt(data, at)
			return err
		}
	}
	first := digest(writeAt(nil, 0))
	if zeros := digest(writeAt(make([]byte, 2*digestBlock), 5*digestBlock-9)); zeros != first {
		t.Error("written zeros and a hole give different digests")
	}
	for name, change := range map[string]func(*os.File) error{
		"a byte more":   writeAt([]byte("x"), 3*digestBlock+21),
		"the last byte": writeAt([]byte("x"), 10*digestBlock+4),
		"another size":  func(f *os.File) error { return f.Truncate(10*digestBlock + 6) },
		"another place": func(f *os.File) error {
			return join(f.Truncate(0), writeAt([]byte("data"), 4*digestBlock+17)(f), f.Truncate(10*digestBlock+5))
		},
		"a hole in place": func(f *os.File) error { return join(f.Truncate(0), f.Truncate(10*digestBlock+5)) },
	} {
		if digest(change) == first {
			t.Errorf("%s: the digest did not change", name)
		}
	}
}
