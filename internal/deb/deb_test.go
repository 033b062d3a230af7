package deb

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func example() *Package {
	return &Package{
		Control: []Field{{"Package", "hapair-test"}, {"Version", "1.0"}, {"Architecture", "all"}, {"Maintainer", "hapair <hapair@example.org>"},
			{"Description", "a test\nOf several lines.\n\nAnd two paragraphs."}},
		Scripts: map[string]string{"postinst": "#!/bin/sh\nexit 0\n"},
		Files: []File{
			{Path: "/usr/bin/hapair-test", Mode: 0o755, Content: []byte("#!/bin/sh\necho it runs\n")},
			{Path: "/etc/hapair-test.conf", Mode: 0o644, Content: []byte("a=1\n"), Conffile: true},
		},
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// TestWrite reads a package with independent code: the archives of the standard library, and the headers of ar(5).
func TestWrite(t *testing.T) {
	var b bytes.Buffer
	if err := example().Write(&b); err != nil {
		t.Fatal(err)
	}
	rest, ok := strings.CutPrefix(b.String(), "!<arch>\n")
	if !ok {
		t.Fatal("the package does not begin as an ar archive")
	}
	members := map[string]string{}
	for rest != "" {
		header, after := rest[:60], rest[60:]
		size := 0
		for _, d := range strings.TrimSpace(header[48:58]) {
			size = 10*size + int(d-'0')
		}
		members[strings.TrimSpace(header[:16])] = after[:size]
		rest = after[size+size%2:]
	}
	if got := members["debian-binary"]; got != "2.0\n" {
		t.Errorf("debian-binary is %q", got)
	}
	control := untar(t, members["control.tar.gz"])
	const want = "Package: hapair-test\nVersion: 1.0\nArchitecture: all\nMaintainer: hapair <hapair@example.org>\nInstalled-Size: 2\n" +
		"Description: a test\n Of several lines.\n .\n And two paragraphs.\n"
	if control["./control"] != want {
		t.Errorf("control is %q, want %q", control["./control"], want)
	}
	if got := control["./conffiles"]; got != "/etc/hapair-test.conf\n" {
		t.Errorf("conffiles is %q", got)
	}
	if got := control["./md5sums"]; strings.Count(got, "\n") != 2 || !strings.Contains(got, "  usr/bin/hapair-test\n") {
		t.Errorf("md5sums is %q", got)
	}
	data := untar(t, members["data.tar.gz"])
	for _, dir := range []string{"./", "./usr/", "./usr/bin/", "./etc/"} {
		if _, ok := data[dir]; !ok {
			t.Errorf("directory %s is missing", dir)
		}
	}
	if data["./etc/hapair-test.conf"] != "a=1\n" {
		t.Errorf("the files are %q", data)
	}
}

func untar(t *testing.T, archive string) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || !h.ModTime.Equal(example().Time) {
			t.Errorf("%s has user %d, group %d and time %v", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(content)
	}
}

// Equal packages are equal bytes, in whatever order their files are given.
func TestWriteIsReproducible(t *testing.T) {
	var a, b bytes.Buffer
	p := example()
	if err := p.Write(&a); err != nil {
		t.Fatal(err)
	}
	p.Files[0], p.Files[1] = p.Files[1], p.Files[0]
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two packages of the same content differ")
	}
}

func TestWriteRefuses(t *testing.T) {
	for want, change := range map[string]func(p *Package){
		`name "Bake"`:            func(p *Package) { p.Control[0].Value = "Bake" },
		`version "1.0 beta"`:     func(p *Package) { p.Control[1].Value = "1.0 beta" },
		`path "usr/bin/a"`:       func(p *Package) { p.Files[0].Path = "usr/bin/a" },
		"twice":                  func(p *Package) { p.Files[0].Path = p.Files[1].Path },
		"conffile and not below": func(p *Package) { p.Files[0].Conffile = true },
	} {
		p := example()
		change(p)
		if err := p.Write(io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
