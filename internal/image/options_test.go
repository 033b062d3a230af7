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

	"github.com/hapair/hapair/internal/needs"
	"github.com/hapair/hapair/internal/release"
)

func TestOptionsAreRefused(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		set  func(*Options)
		want string
	}{
		{"directory", func(o *Options) { o.Output = dir }, "it is a directory"},
		{"device", func(o *Options) { o.Output = "/dev/null" }, "it is no regular file"},
		{"no directory", func(o *Options) { o.Output = dir + "/none/out.img" }, "there is no directory " + dir + "/none"},
		{"no output", func(o *Options) { o.Output = "" }, "no file was named"},
		{"format", func(o *Options) { o.Format = "vmdk" }, `"vmdk": known are qcow2 and raw`},
		{"no base", func(o *Options) { o.Base = "" }, "name a base"},
		{"URL without digest", func(o *Options) { o.Base = "https://example.com/x.img" }, "needs its SHA-256"},
		{"digest", func(o *Options) { o.BaseSHA256 = "abc" }, "64 hexadecimal digits"},
		{"cache", func(o *Options) { o.CacheDir = "/dev/null/x" }, "cannot keep a base"},
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
		t.Errorf("as a plain user: %v", err)
	}
}

func TestMissingToolsAreNamedAtOnce(t *testing.T) {
	o := Options{Base: Bootstrap}
	err := checkTools(o.tools(), func(name string) (string, error) {
		if name == "unshare" {
			return "/usr/bin/unshare", nil
		}
		return "", errors.New("not there")
	})
	want := "cannot find sfdisk, e2fsck, resize2fs, qemu-img, mkfs.ext4, mmdebstrap: apt-get install fdisk e2fsprogs qemu-utils mmdebstrap"
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

func TestBaseOfAnotherDigest(t *testing.T) {
	needs.Root(t)
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
		if b, err := os.ReadFile(file); err != nil || string(b) != content {
			t.Errorf("other bytes: %v", err)
		}
		if info.Digest != "sha256:"+hex.EncodeToString(sum[:]) {
			t.Errorf("digest %s", info.Digest)
		}
	}
	if asked != 2 {
		t.Errorf("%d downloads, want the refused one and one more: the cache is not used", asked)
	}

	o.Base = server.URL + "/none.img"
	o.CacheDir = t.TempDir()
	if _, _, err := getBase(ctx, &o); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("not there: %v", err)
	}
	wantEmpty(t, o.CacheDir)
}

func TestSuites(t *testing.T) {
	present := map[string]bool{"/debian/dists/trixie/InRelease": true, "/debian-security/dists/trixie-security/InRelease": true}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !present[r.URL.Path] {
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	r, err := release.Get("trixie")
	if err != nil {
		t.Fatal(err)
	}
	found, err := reachable(context.Background(), server.Client(), suites(r, server.URL+"/debian/"))
	if err != nil {
		t.Fatal(err)
	}
	want := "deb " + server.URL + "/debian trixie main\ndeb " + server.URL + "/debian-security trixie-security main\n"
	if got := aptSources(found, r); got != want {
		t.Errorf("sources:\n%swant:\n%s", got, want)
	}
	if _, err := reachable(context.Background(), server.Client(), suites(r, server.URL+"/other")); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("no archive: %v", err)
	}
}
