// Package cluster boots the nodes of a spec with two controllers as real hosts in the lab, for tests of whole clusters.
package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/internal/testing/needs"
)

// Password is the password of the stats page in the tests.
const Password = "open sesame"

// VIP is the virtual IP of the controllers, as in examples/controllers.yaml. Family has its IPv6 address.
const VIP = "192.168.1.32"

// Time limits. They are generous, because other tests may use the machine.
const (
	bootLimit   = 3 * time.Minute
	settleLimit = 60 * time.Second
	settled     = 1500 * time.Millisecond // how long there must be exactly one holder
)

// Releases returns the releases in HAPAIR_RELEASES, separated by commas, or the given ones if it is not set.
func Releases(t testing.TB, defaults ...string) []string {
	t.Helper()
	names := strings.FieldsFunc(os.Getenv("HAPAIR_RELEASES"), func(r rune) bool { return r == ',' || r == ' ' })
	if len(names) == 0 {
		return defaults
	}
	for _, name := range names {
		if _, err := release.Get(name); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// Sample returns all given releases in the wide tier, and only the first below it, or those in HAPAIR_RELEASES.
func Sample(t testing.TB, first string, others ...string) []string {
	t.Helper()
	if needs.Wide(t) {
		return Releases(t, append([]string{first}, others...)...)
	}
	return Releases(t, first)
}

// Span returns noble, and in the wide tier also an older and a newer release, or those in HAPAIR_RELEASES.
func Span(t testing.TB) []string {
	t.Helper()
	return Sample(t, "noble", "bookworm", "trixie")
}

// Bake is the program under test, with a spec.
type Bake struct {
	Dir    string // directory of the programs, and working directory
	Spec   string
	Family Family // of the nodes; empty means IPv4
}

// Build builds the programs, with flags for go build, and writes a spec as a new user would.
func Build(t testing.TB, spec []byte, flags ...string) *Bake {
	t.Helper()
	needs.Cluster(t)
	labtest.Need(t)
	b := &Bake{Dir: t.TempDir()}
	gotool.Build(t, b.Dir+"/", append(flags, "github.com/hapair/hapair/cmd/bake", "github.com/hapair/hapair/cmd/ha-agent")...)
	b.Write(t, spec)
	b.write(t, "secrets/stats", []byte(Password+"\n"))
	return b
}

// Write replaces the spec.
func (b *Bake) Write(t testing.TB, spec []byte) {
	t.Helper()
	b.Spec = b.write(t, "controllers.yaml", spec)
}

func (b *Bake) write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(b.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Run runs bake, and fails the test if bake fails.
func (b *Bake) Run(t testing.TB, args ...string) {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(b.Dir, "bake"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("bake %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	t.Logf("bake %s %s: %v", args[0], strings.Join(args[2:], " "), time.Since(start).Round(100*time.Millisecond))
}

// Golden bakes an image of a release, and creates both nodes from it, off.
func (b *Bake) Golden(t testing.TB, release string) *Cluster {
	t.Helper()
	return b.Nodes(t, release, b.Image(t, release))
}

// Image bakes a golden image of a release.
func (b *Bake) Image(t testing.TB, release string) string {
	t.Helper()
	image := filepath.Join(b.Dir, "golden-"+release+".qcow2")
	b.Run(t, "image", b.Spec, "--release", release, "-o", image)
	return image
}

// Nodes creates both nodes from an image with the spec's seeds, off.
func (b *Bake) Nodes(t testing.TB, release, image string) *Cluster {
	t.Helper()
	seeds := filepath.Join(b.Dir, "seeds")
	b.Run(t, "cloud-init", b.Spec, "--release", release, "-o", seeds)
	l := labtest.Lab(t)
	base, err := l.Image(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	return New(t, l, base, seeds, b.Family)
}

// Cluster is the two controllers in the lab, and a client on the network of the VIP.
type Cluster struct {
	Lab     *lab.Lab
	Family  Family
	Nodes   map[string]*lab.Host // by host name
	Client  *lab.Client          // sends requests to the service
	Admin   *lab.Client          // on the nodes' own network
	Holders *lab.Holders
}

// New creates both nodes with their seeds, off. An empty family means IPv4.
func New(t testing.TB, l *lab.Lab, base *lab.Base, seeds string, f Family) *Cluster {
	t.Helper()
	c := &Cluster{Lab: l, Family: f, Nodes: map[string]*lab.Host{}}
	for _, name := range []string{"controller_1", "controller_2"} {
		h, err := l.AddHost(lab.HostConfig{Name: strings.ReplaceAll(name, "_", "-"), Base: base, Seed: filepath.Join(seeds, name, "seed.iso"),
			Interfaces: []lab.Interface{{Name: "eth3", Network: "management"}, {Name: "eth4", Network: "public"}}})
		if err != nil {
			t.Fatal(err)
		}
		c.Nodes[h.Name] = h
	}
	var err error
	if c.Client, err = l.AddClient(t.Context(), "user", "public", f.Prefixes("192.168.1.100/24")...); err != nil {
		t.Fatal(err)
	}
	if c.Admin, err = l.AddClient(t.Context(), "admin", "management", f.Prefixes("192.168.56.1/24")...); err != nil {
		t.Fatal(err)
	}
	c.Holders = l.Follow(t.Context(), f.Addresses(VIP)...)
	t.Cleanup(c.Holders.Stop)
	return c
}

// Boot starts both nodes, and waits until they are running.
func (c *Cluster) Boot(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	start := time.Now()
	for _, h := range c.Nodes {
		if err := h.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	c.WaitRunning(ctx, t)
	t.Logf("both nodes running after %v", time.Since(start).Round(100*time.Millisecond))
	for _, h := range c.Nodes {
		haproxy, keepalived := c.activeAfter(ctx, t, h, "haproxy.service"), c.activeAfter(ctx, t, h, "keepalived.service")
		t.Logf("%s: haproxy active %v and keepalived %v after systemd started", h.Name, haproxy, keepalived)
	}
}

// activeAfter returns the time from the start of a host's systemd until a unit was active.
func (c *Cluster) activeAfter(ctx context.Context, t testing.TB, h *lab.Host, unit string) time.Duration {
	t.Helper()
	var began, active int64 // microseconds of the monotonic clock
	out, err := h.Must(ctx, "sh", "-euc", `systemctl show -P UserspaceTimestampMonotonic; systemctl show -P ActiveEnterTimestampMonotonic "$1"`, "sh", unit)
	if err == nil {
		_, err = fmt.Sscan(out, &began, &active)
	}
	if err != nil {
		t.Error(err)
	}
	return (time.Duration(active-began) * time.Microsecond).Round(100 * time.Millisecond)
}

// WaitRunning waits until both nodes have booted.
func (c *Cluster) WaitRunning(ctx context.Context, t testing.TB) {
	t.Helper()
	for _, h := range c.Nodes {
		if err := h.WaitRunning(ctx); err != nil {
			t.Fatalf("%v\n%s\n%s", err, h.Logs(ctx, 150), c.FirstBoot(ctx, h))
		}
	}
}

// FirstBoot returns the messages of cloud-init.
func (c *Cluster) FirstBoot(ctx context.Context, h *lab.Host) string {
	out, _, _ := h.Run(ctx, "sh", "-c", "cloud-init status --long; tail -n 25 /var/log/cloud-init-output.log")
	return out
}

// Settle waits until exactly one node holds the VIP and stays the only holder, and returns the holder and the other node.
func (c *Cluster) Settle(t testing.TB) (holder, other *lab.Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), settleLimit)
	defer cancel()
	name, err := c.Holders.WaitOne(ctx, settled)
	if err != nil {
		for _, h := range c.Nodes {
			t.Logf("%s:\n%s", h.Name, h.Logs(t.Context(), 60))
		}
		t.Fatal(err)
	}
	for _, h := range c.Nodes {
		if h.Name != name {
			other = h
		}
	}
	return c.Nodes[name], other
}
