// Package e2e boots the nodes of an example as real hosts in the lab, and checks that they work.
package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/test/cluster"
)

// urls returns the URLs of the service of examples/controllers.yaml, one for each address of the VIP.
func (c controllers) urls(path string) []string { return c.Family.URLs(cluster.VIP, 5000, path) }

// servicePath is the path that clients request.
const servicePath = "/v3"

// answered waits until the service answers at each address of the VIP.
func (c controllers) answered(ctx context.Context, path string) error {
	for _, url := range c.urls(path) {
		if _, err := c.Client.WaitAnswer(ctx, url); err != nil {
			return err
		}
	}
	return nil
}

// watch starts clients that request the service at each address of the VIP, one request after another.
func (c controllers) watch(ctx context.Context) watches {
	var all watches
	for _, url := range c.urls(servicePath) {
		all = append(all, c.Client.Watch(ctx, url, 10*time.Millisecond, patience))
	}
	return all
}

// watchFresh starts clients that request the service at each address of the VIP, over a new connection for each request.
func (c controllers) watchFresh(ctx context.Context) watches {
	var all watches
	for _, url := range c.urls(servicePath) {
		all = append(all, c.Client.WatchFresh(ctx, url, 5*time.Millisecond, 500*time.Millisecond))
	}
	return all
}

// watches are clients, one for each address of the VIP.
type watches []*lab.Watch

// stop stops the clients. It returns the number of failed requests, the longest time without an answer, and the last
// failure.
func (w watches) stop() (failures int, gap time.Duration, last error) {
	for _, watch := range w {
		r := watch.Stop()
		failures += r.Failures
		if r.LastErr != nil {
			last = r.LastErr
		}
		gap = max(gap, r.Longest.Duration())
	}
	return failures, gap, last
}

func nodeAddress() map[string]netip.Addr {
	return map[string]netip.Addr{
		"controller_1": netip.MustParseAddr("192.168.56.101"),
		"controller_2": netip.MustParseAddr("192.168.56.102"),
	}
}

// faultLimit is generous, because other tests may use the machine.
const faultLimit = 60 * time.Second

// controllers is the cluster of the example.
type controllers struct{ *cluster.Cluster }

func build(t testing.TB) *cluster.Bake {
	t.Helper()
	example, ok := examples.Get("controllers")
	if !ok {
		t.Fatal("there is no example controllers")
	}
	return cluster.Build(t, example)
}

// buildFamily writes the example for an address family, with metrics at every address and for only one client.
func buildFamily(t testing.TB, f cluster.Family) *cluster.Bake {
	t.Helper()
	if f == cluster.IPv4 {
		return build(t)
	}
	example, _ := examples.Get("controllers")
	b := cluster.Build(t, append(f.Spec(example), fmt.Sprintf("\nfirewall: true\nagent: {metrics: \"[::]:9736\", allow: [%s]}\n", strings.Join(hosts(f.Addresses(admin)), ", "))...))
	b.Family = f
	return b
}

// admin and stranger are addresses on the nodes' own network. Only admin may read metrics.
const admin, stranger = "192.168.56.1", "192.168.56.9"

// hosts returns networks with one address each, in quotes.
func hosts(addrs []netip.Addr) []string {
	var all []string
	for _, a := range addrs {
		all = append(all, fmt.Sprintf("\"%v/%d\"", a, a.BitLen()))
	}
	return all
}

// boot starts the servers behind the VIP and the nodes.
func boot(t testing.TB, cl *cluster.Cluster) controllers {
	t.Helper()
	for name, addr := range nodeAddress() {
		h := cl.Nodes[strings.ReplaceAll(name, "_", "-")]
		for _, a := range cl.Family.Addresses(addr.String()) {
			if err := h.Serve(netip.AddrPortFrom(a, 5000), keystone(name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	cl.Boot(t)
	return controllers{cl}
}

// keystone is the service behind the VIP. It answers GET /v3 with the name of its server.
func keystone(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v3", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
	return mux
}
