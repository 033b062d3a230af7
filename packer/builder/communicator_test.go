package builder

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func archive(t *testing.T, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(h.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestUnpack(t *testing.T) {
	dst := t.TempDir()
	files := archive(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "./"},
		tar.Header{Typeflag: tar.TypeDir, Name: "./log"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./log/a", Mode: 0o640},
		tar.Header{Typeflag: tar.TypeReg, Name: "./log/b", Mode: 0o644},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "./link", Linkname: "/etc"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./left/out", Mode: 0o644},
	)
	if err := unpack(dst, files, []string{"log/b", "left/"}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dst, "log/a")); err != nil || string(got) != "./log/a" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, name := range []string{"log/b", "link", "left"} {
		if _, err := os.Lstat(filepath.Join(dst, name)); err == nil {
			t.Errorf("%s exists", name)
		}
	}
}

func TestUnpackStaysBelow(t *testing.T) {
	top := t.TempDir()
	dst := filepath.Join(top, "dst")
	if err := os.Mkdir(dst, 0o755); err != nil {
		t.Fatal(err)
	}
	err := unpack(dst, archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "../outside", Mode: 0o644}), nil)
	if err == nil || !strings.Contains(err.Error(), "outside") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(filepath.Join(top, "outside")); err == nil {
		t.Error("a file was written outside")
	}
}
