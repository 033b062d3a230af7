package recipe_test

import (
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/test/cluster"
)

// TestPlaceholderCertificates creates placeholders for missing certificates. Each must have its own key, which only root can
// read. Existing files, even broken ones, must not be changed.
func TestPlaceholderCertificates(t *testing.T) {
	for _, name := range cluster.Span(t) {
		t.Run(name, func(t *testing.T) {
			s := parseBytes(t, "spec.yaml", []byte(hostSpec))
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			h := newHost(t, s, &s.Nodes[0], r)
			if err := h.WriteFile(deadline(t), "/srv/mine.pem", 0o600, "", []byte("mine\n")); err != nil {
				t.Fatal(err)
			}
			h.must(t, "ln", "-s", "/nowhere", "/srv/link.pem")
			if err := h.WriteFile(deadline(t), "/srv/full/own.pem", 0o600, "", []byte("own\n")); err != nil {
				t.Fatal(err)
			}
			list := "/srv/mine.pem\n/srv/link.pem\n/srv/deep/er/new.pem\n/srv/with space.pem\n\n/srv/other.pem\n/srv/empty/\n/srv/full/\nca /srv/ca.pem\n"
			if err := h.WriteFile(deadline(t), "/srv/list", 0o644, "", []byte(list)); err != nil {
				t.Fatal(err)
			}
			first := h.must(t, "/usr/lib/hapair/placeholder-certificates", "/srv/list")
			if again := h.must(t, "/usr/lib/hapair/placeholder-certificates", "/srv/list"); again != "" || strings.Count(first, "generated a placeholder") != 5 {
				t.Errorf("output of the first run %q, of the second run %q", first, again)
			}
			if mine := h.must(t, "cat", "/srv/mine.pem"); mine != "mine\n" {
				t.Errorf("the existing file now contains %q", mine)
			}
			h.must(t, "test", "-L", "/srv/link.pem")
			if got := h.must(t, "ls", "/srv/full", "/srv/empty"); got != "/srv/empty:\nzz-placeholder.pem\n\n/srv/full:\nown.pem\n" {
				t.Errorf("the directories contain %q", got)
			}
			h.must(t, "openssl", "x509", "-noout", "-in", "/srv/ca.pem")
			if got := h.must(t, "cat", "/srv/ca.pem"); strings.Contains(got, "PRIVATE KEY") {
				t.Error("the placeholder of an authority's certificate has a key")
			}
			for _, path := range []string{"/srv/deep/er/new.pem", "/srv/with space.pem", "/srv/other.pem", "/srv/empty/zz-placeholder.pem"} {
				if got := strings.TrimSpace(h.must(t, "stat", "-c", "%a %U:%G %h", path)); got != "640 root:haproxy 1" {
					t.Errorf("%s has mode and owner %s", path, got)
				}
				h.must(t, "openssl", "pkey", "-noout", "-in", path)
			}
			if key := h.must(t, "cat", "/srv/other.pem"); key == h.must(t, "cat", "/srv/deep/er/new.pem") {
				t.Error("two placeholders have the same key")
			}
			if left := h.must(t, "find", "/srv", "-name", ".placeholder*"); left != "" {
				t.Errorf("left behind: %s", left)
			}
		})
	}
}
