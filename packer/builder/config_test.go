package builder

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/image"
)

func TestDefaults(t *testing.T) {
	t.Setenv("PACKER_CACHE_DIR", t.TempDir())
	c := Config{Output: "/images/c.qcow2"}
	o, err := c.options()
	if err != nil {
		t.Fatal(err)
	}
	if o.Base != image.Bootstrap || o.Format != image.QCOW2 || o.Release.Name != "noble" || o.Size != 0 || filepath.Base(o.CacheDir) != "hapair" {
		t.Errorf("got %+v", o)
	}
}

func TestSnapshot(t *testing.T) {
	c := Config{Output: "/images/c.qcow2", Snapshot: "2026-01-31", CacheDir: "/cache"}
	if o, err := c.options(); err != nil || o.Snapshot != "20260131T000000Z" {
		t.Errorf("got %q, %v", o.Snapshot, err)
	}
}

func TestOptionsReportAllProblems(t *testing.T) {
	c := Config{
		Base: "https://example.org/image.qcow2", Release: "buster", Format: "vdi", DiskSize: "4Q", CacheDir: "/cache", Snapshot: "2026-01-31",
	}
	_, err := c.options()
	if err == nil {
		t.Fatal("a bad configuration was accepted")
	}
	for _, want := range []string{
		"output is missing", `cannot find release "buster"`, `cannot write an image as "vdi"`, "base_sha256 is missing", `disk_size: cannot use "4Q" as a size`,
		`cannot use the snapshot "2026-01-31" with the base https://example.org/image.qcow2`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not contain %q:\n%v", want, err)
		}
	}
}

func TestCheckBase(t *testing.T) {
	good := strings.Repeat("0a", 32)
	for _, c := range []struct {
		base, digest string
		ok           bool
	}{
		{"bootstrap", "", true},
		{"/images/base.qcow2", "", true},
		{"/images/base.qcow2", good, true},
		{"https://example.org/image", good, true},
		{"http://example.org/image", "", false},
		{"/images/base.qcow2", good[1:], false},
		{"/images/base.qcow2", "sha256:" + good, false},
	} {
		if err := checkBase(c.base, c.digest); (err == nil) != c.ok {
			t.Errorf("%s with %q: got %v", c.base, c.digest, err)
		}
	}
}

func TestProxies(t *testing.T) {
	b := New([]string{"HOME=/root", "http_proxy=http://p:3128", "NO_PROXY=localhost", "SECRET=x"})
	if got := strings.Join(b.proxies, " "); got != "http_proxy=http://p:3128 NO_PROXY=localhost" {
		t.Errorf("got %q", got)
	}
}
