package recipe_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

// TestHAProxyAcceptsExamplesWithoutWarnings lets every supported haproxy check the haproxy.cfg of every example, and of an
// image. There must be no warnings, because later versions may refuse what they are about: 3.2 warns if a backend has the
// name of its frontend.
func TestHAProxyAcceptsExamplesWithoutWarnings(t *testing.T) {
	for _, name := range cluster.Releases(t, release.Names()...) {
		t.Run(name, func(t *testing.T) {
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			sb := labtest.Sandbox(t, name)
			for example, s := range examples(t) {
				image, err := recipe.Image(s, r)
				if err != nil {
					t.Fatal(err)
				}
				// the nodes of a spec differ only in their addresses
				node, err := recipe.Node(s, &s.Nodes[0], r)
				if err != nil {
					t.Fatal(err)
				}
				recipes := map[string]recipe.Recipe{s.Nodes[0].Name: recipe.Merge(image, node)}
				if example == "everything" {
					recipes["its image"] = image
				}
				for machine, recipe := range recipes {
					h := &host{sb, recipe}
					h.acceptsHAProxy(t, example+", "+machine)
				}
			}
		})
	}
}

// acceptsHAProxy lets haproxy check its files of the recipe.
func (h *host) acceptsHAProxy(t *testing.T, what string) {
	t.Helper()
	if !h.has("/usr/lib/sysusers.d/hapair.conf") {
		h.write(t) // the group of haproxy's sockets must exist
	}
	h.must(t, "rm", "-rf", "/etc/haproxy")
	for _, f := range h.recipe.Files {
		if dir := filepath.Dir(f.Path); !strings.HasPrefix(f.Path, "/etc/haproxy/") && dir != "/etc/ha-agent" && dir != "/usr/lib/hapair" {
			continue
		}
		if err := h.WriteFile(deadline(t), f.Path, f.Mode, f.Owner+":"+f.Group, f.Content); err != nil {
			t.Fatal(err)
		}
	}
	if h.has("/etc/ha-agent/certificates") {
		h.must(t, "/usr/lib/hapair/placeholder-certificates", "/etc/ha-agent/certificates")
	}
	a := haproxy.Test(deadline(t), h.run, h.file(wellknown.HAProxyConfig))
	if w := unexpected(a.Messages); a.Verdict != validator.Good || len(w) > 0 {
		t.Errorf("%s: haproxy's verdict is %v: %s", what, a.Verdict, strings.Join(w, "; "))
	}
}

const backendSpec = `
apiVersion: hapair/v1
cluster: backend
nodes:
  - {name: a, address: 192.0.2.1/24, interface: eth0}
  - {name: b, address: 192.0.2.2/24, interface: eth0}
vips: [{name: v, address: 192.0.2.10/24}]
services:
  - name: web
    vip: v
    port: 80
    mode: http
    servers: [{name: echo, address: 127.0.0.1, port: 8081}]
haproxy:
  extra: |
    frontend own
        mode http
        bind 127.0.0.1:8082
        http-request set-header X-Forwarded-Proto own
        default_backend web
    backend none
        mode http
    frontend echo
        mode http
        bind 127.0.0.1:8081
        http-request return status 200 content-type text/plain lf-string "proto %[req.fhdr(x-forwarded-proto)] for %[req.hdr_cnt(x-forwarded-for)]"
`

// TestServiceIsAlsoABackend sends requests through a service, and through a frontend of haproxy.extra that uses the service
// as its backend. The headers of the second request must not be changed. A service must use its own servers even if
// haproxy.defaults has a default_backend.
func TestServiceIsAlsoABackend(t *testing.T) {
	for _, name := range cluster.Releases(t, release.Names()...) {
		for what, more := range map[string]string{"": "", "/default_backend": "  defaults: default_backend none\n"} {
			testBackend(t, name, name+what, backendSpec+more)
		}
	}
}

func testBackend(t *testing.T, name, title, text string) {
	t.Run(title, func(t *testing.T) {
		r, err := release.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		s := parseBytes(t, "spec.yaml", []byte(text))
		h := newHost(t, s, &s.Nodes[0], r)
		h.must(t, "ip", "address", "add", "192.0.2.10/32", "dev", "eth0")
		h.must(t, "ip", "link", "set", "lo", "up")
		h.startHAProxy(t)
		for address, want := range map[string]string{"192.0.2.10:80": "proto http for 1", "127.0.0.1:8082": "proto own for 0"} {
			got := ""
			eventually.True(t, patience, address+" is served", func() bool {
				out, _, err := h.Run(deadline(t), "sh", "-c", `printf 'GET / HTTP/1.0\r\n\r\n' | socat -t 5 - "TCP:$1"`, "sh", address)
				if err != nil {
					t.Fatal(err)
				}
				got = strings.TrimSpace(out[strings.LastIndexByte(out, '\n')+1:])
				return strings.HasPrefix(out, "HTTP/1.1 200")
			})
			if got != want {
				t.Errorf("the server behind %s answers %q, want %q", address, got, want)
			}
		}
	})
}
