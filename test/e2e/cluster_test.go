// Package e2e boots what bake makes of an example, as real hosts in the lab, and sees that the job is done.
package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/labtest"
)

// What examples/controllers.yaml says.
const (
	serviceURL = "http://192.168.1.32:5000/v3"
	password   = "open sesame" // of the stats page: the test's own secret
)

var vip = netip.MustParseAddr("192.168.1.32")

var nodeAddress = map[string]netip.Addr{
	"controller_1": netip.MustParseAddr("192.168.56.101"),
	"controller_2": netip.MustParseAddr("192.168.56.102"),
}

// limits of what is waited for: generous, because the machine may be busy with other tests.
const (
	bootLimit  = 3 * time.Minute
	faultLimit = 60 * time.Second
	settled    = 1500 * time.Millisecond // how long one holder must stay the only one
)

// bake is the program under test, with the spec that it is given.
type bake struct {
	dir  string
	spec string
}

// build builds the programs and lays the example down as a newcomer would have it.
func build(t *testing.T) *bake {
	t.Helper()
	labtest.Need(t)
	b := &bake{dir: t.TempDir()}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", b.dir, "github.com/hapair/hapair/cmd/bake", "github.com/hapair/hapair/cmd/ha-agent")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	example, ok := examples.Get("controllers")
	if !ok {
		t.Fatal("there is no example controllers")
	}
	b.spec = b.write(t, "controllers.yaml", example)
	b.write(t, "secrets/stats", []byte(password+"\n"))
	return b
}

func (b *bake) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs bake and fails the test unless it ends well.
func (b *bake) run(t *testing.T, args ...string) {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(b.dir, "bake"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("bake %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	t.Logf("bake %s %s: %v", args[0], strings.Join(args[2:], " "), time.Since(start).Round(100*time.Millisecond))
}

// cluster is the two controllers in the lab, and a client on the network of the VIP.
type cluster struct {
	lab     *lab.Lab
	nodes   map[string]*lab.Host
	client  *lab.Client // asks for the service
	admin   *lab.Client // on the nodes' own network
	holders *lab.Holders
}

// newCluster makes both nodes, off, with their seeds.
func newCluster(t *testing.T, l *lab.Lab, base *lab.Base, seeds string) *cluster {
	t.Helper()
	c := &cluster{lab: l, nodes: map[string]*lab.Host{}}
	for _, name := range []string{"controller_1", "controller_2"} {
		h, err := l.AddHost(lab.HostConfig{Name: strings.ReplaceAll(name, "_", "-"), Base: base, Seed: filepath.Join(seeds, name, "seed.iso"),
			Interfaces: []lab.Interface{{Name: "eth3", Network: "management"}, {Name: "eth4", Network: "public"}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Serve(netip.AddrPortFrom(nodeAddress[name], 5000), keystone(name)); err != nil {
			t.Fatal(err)
		}
		c.nodes[h.Name] = h
	}
	var err error
	if c.client, err = l.AddClient(t.Context(), "user", "public", netip.MustParsePrefix("192.168.1.100/24")); err != nil {
		t.Fatal(err)
	}
	if c.admin, err = l.AddClient(t.Context(), "admin", "management", netip.MustParsePrefix("192.168.56.1/24")); err != nil {
		t.Fatal(err)
	}
	c.holders = l.Follow(t.Context(), vip)
	t.Cleanup(c.holders.Stop)
	return c
}

// keystone is the service behind: it answers GET /v3 with the name of its server.
func keystone(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v3", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
	return mux
}

// boot starts both nodes and waits until they run.
func (c *cluster) boot(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	start := time.Now()
	for _, h := range c.nodes {
		if err := h.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	c.waitRunning(ctx, t)
	t.Logf("both nodes running after %v", time.Since(start).Round(100*time.Millisecond))
	for _, h := range c.nodes {
		haproxy, keepalived := c.activeAfter(ctx, t, h, "haproxy.service"), c.activeAfter(ctx, t, h, "keepalived.service")
		t.Logf("%s: haproxy active %v and keepalived %v after its systemd began", h.Name, haproxy, keepalived)
	}
}

// activeAfter is how long after its beginning a host's systemd had a unit active.
func (c *cluster) activeAfter(ctx context.Context, t *testing.T, h *lab.Host, unit string) time.Duration {
	t.Helper()
	var began, active int64 // microseconds of the machine's clock
	out, err := h.Must(ctx, "sh", "-euc", `systemctl show -P UserspaceTimestampMonotonic; systemctl show -P ActiveEnterTimestampMonotonic "$1"`, "sh", unit)
	if err == nil {
		_, err = fmt.Sscan(out, &began, &active)
	}
	if err != nil {
		t.Error(err)
	}
	return (time.Duration(active-began) * time.Microsecond).Round(100 * time.Millisecond)
}

func (c *cluster) waitRunning(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, h := range c.nodes {
		if err := h.WaitRunning(ctx); err != nil {
			t.Fatalf("%v\n%s\n%s", err, h.Logs(ctx, 150), c.firstBoot(ctx, h))
		}
	}
}

// firstBoot is what cloud-init has to say.
func (c *cluster) firstBoot(ctx context.Context, h *lab.Host) string {
	out, _, _ := h.Run(ctx, "sh", "-c", "cloud-init status --long; tail -n 25 /var/log/cloud-init-output.log")
	return out
}

// settle waits until exactly one node holds the VIP and stays the only one, and tells which and which not.
func (c *cluster) settle(t *testing.T) (holder, other *lab.Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), faultLimit)
	defer cancel()
	name, err := c.holders.WaitOne(ctx, settled)
	if err != nil {
		for _, h := range c.nodes {
			t.Logf("%s:\n%s", h.Name, h.Logs(t.Context(), 60))
		}
		t.Fatal(err)
	}
	for _, h := range c.nodes {
		if h.Name != name {
			other = h
		}
	}
	return c.nodes[name], other
}
