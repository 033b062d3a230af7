package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/needs"
)

func TestInvalidOptionsAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		set  func(*Options)
		want string
	}{
		{"directory", func(o *Options) { o.Output = dir }, "it is a directory"},
		{"device", func(o *Options) { o.Output = "/dev/null" }, "it is not a regular file"},
		{"no directory", func(o *Options) { o.Output = dir + "/none/out.img" }, "directory " + dir + "/none does not exist"},
		{"no output", func(o *Options) { o.Output = "" }, "the output file is missing"},
		{"format", func(o *Options) { o.Format = "vdi" }, `"vdi": the format must be qcow2, raw, vmdk, vhd or ova`},
		{"no base", func(o *Options) { o.Base = "" }, "name a base"},
		{"URL without digest", func(o *Options) { o.Base = "https://example.com/x.img" }, "needs its SHA-256"},
		{"digest", func(o *Options) { o.BaseSHA256 = "abc" }, "64 hexadecimal digits"},
		{"cache", func(o *Options) { o.CacheDir = "/dev/null/x" }, "cannot cache base images in /dev/null/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{Base: "base.img", Output: filepath.Join(dir, "out.img"), CacheDir: filepath.Join(dir, "cache")}
			c.set(&o)
			if err := o.check(0); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	o := Options{}
	if err := o.check(1000); err == nil || !strings.Contains(err.Error(), "needs root") {
		t.Errorf("without root: %v", err)
	}
}

func TestMissingToolsAreNamedAtOnce(t *testing.T) {
	o := Options{Base: Bootstrap}
	err := checkTools(o.tools(), func(name string) (string, error) {
		if name == "unshare" || name == "prlimit" {
			return "/usr/bin/" + name, nil
		}
		return "", errors.New("not there")
	})
	want := "cannot find sfdisk, e2fsck, resize2fs, qemu-img, mkfs.ext4, mmdebstrap, mkfs.vfat, mcopy: apt-get install fdisk e2fsprogs qemu-utils mmdebstrap dosfstools mtools"
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

func TestBaseOfAnotherDigest(t *testing.T) {
	needs.Lab(t)
	base := filepath.Join(t.TempDir(), "base.raw")
	write(t, base, "these bytes")
	o := toyOptions(t, base)
	o.BaseSHA256 = strings.Repeat("0", 64)
	_, err := Bake(context.Background(), o, put("never"))
	if err == nil || !strings.Contains(err.Error(), "its SHA-256 is ") {
		t.Errorf("error %v", err)
	}
}

func TestDownload(t *testing.T) {
	content := strings.Repeat("base image ", 1<<16)
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path != "/base.img" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		fmt.Fprint(w, content)
	}))
	defer server.Close()
	sum := sha256.Sum256([]byte(content))
	o := Options{Base: server.URL + "/base.img", BaseSHA256: strings.Repeat("0", 64), CacheDir: t.TempDir()}
	ctx := context.Background()
	if _, _, err := getBase(ctx, &o); err == nil || !strings.Contains(err.Error(), "its SHA-256 is "+hex.EncodeToString(sum[:])) {
		t.Errorf("wrong digest: %v", err)
	}
	wantEmpty(t, o.CacheDir)

	o.BaseSHA256 = strings.ToUpper(hex.EncodeToString(sum[:]))
	for range 2 {
		file, info, err := getBase(ctx, &o)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(file.Name()); err != nil || string(b) != content {
			t.Errorf("other bytes: %v", err)
		}
		file.Close()
		if info.Digest != "sha256:"+hex.EncodeToString(sum[:]) {
			t.Errorf("digest %s", info.Digest)
		}
	}
	if asked != 2 {
		t.Errorf("%d downloads, want 2 (the refused one and another): the cache was not used", asked)
	}

	o.Base = server.URL + "/none.img"
	o.CacheDir = t.TempDir()
	if _, _, err := getBase(ctx, &o); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("not there: %v", err)
	}
	wantEmpty(t, o.CacheDir)
}

// A security suite that is not used must be reported as a step of the bake, so that it is visible on every terminal and in
// every log.
func TestMissingSuiteIsReported(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "-security/") {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	var done []string
	o := Options{Base: Bootstrap, Mirror: server.URL + "/debian", CacheDir: t.TempDir(), Report: func(p install.Progress) {
		if p.Done {
			done = append(done, p.Step)
		}
	}}
	var err error
	if o.Release, err = release.Get("trixie"); err != nil {
		t.Fatal(err)
	}
	if _, err := newBootstrapper(t.Context(), &o); err != nil {
		t.Fatal(err)
	}
	if len(done) != 1 || !strings.Contains(done[0], "trixie-security is not used") {
		t.Errorf("reported: %q", done)
	}
}
