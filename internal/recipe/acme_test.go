package recipe_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/eventually"
)

// TestACMEBesideRedirect runs the services of docs/services.md that let ACME's challenges through beside a redirect.
func TestACMEBesideRedirect(t *testing.T) {
	const head = `apiVersion: hapair/v1
cluster: acme
nodes:
  - {name: a, address: 192.0.2.1/24, interface: eth0}
  - {name: b, address: 192.0.2.2/24, interface: eth0}
vips: [{name: www, address: 192.0.2.10/24}]
`
	const client = `haproxy:
  extra: |
    listen acme-client
        bind 127.0.0.1:8080
        mode http
        http-request return status 200 content-type text/plain string token
`
	page, err := os.ReadFile("../../docs/services.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "## ACME challenges beside a redirect")
	_, block, _ = strings.Cut(block, "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	// The test's client has no address. It sends its requests to a socket of the same service.
	services := strings.NewReplacer("address: 10.0.0.31", "address: 127.0.0.1", "      frontend: ", "      frontend: |\n        bind /run/haproxy/clients.sock\n        ").Replace(block)
	r, err := release.Get("noble")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		spec      string
		challenge int
	}{
		"the ACME client listens":         {head + services + client, http.StatusOK},
		"the ACME client does not listen": {head + services, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := parseBytes(t, "spec.yaml", []byte(test.spec))
			h := newHost(t, s, &s.Nodes[0], r)
			h.startHAProxy(t)
			socket := fmt.Sprintf("/proc/%d/root/run/haproxy/clients.sock", h.PID())
			eventually.True(t, patience, "haproxy listens", func() bool { _, err := os.Stat(socket); return err == nil })
			for path, want := range map[string]int{"/.well-known/acme-challenge/abc": test.challenge, "/": http.StatusMovedPermanently} {
				if got, where := askSocket(t, socket, path); got != want || want == http.StatusMovedPermanently && where != "https://www.example.org"+path {
					t.Errorf("%s: status %d, location %q, want status %d", path, got, where, want)
				}
			}
		})
	}
}

// askSocket sends a request over a Unix socket, and returns the status and the location of the answer.
func askSocket(t *testing.T, socket, path string) (status int, location string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	req, err := http.NewRequestWithContext(deadline(t), http.MethodGet, "http://www.example.org"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode, answer.Header.Get("Location")
}
