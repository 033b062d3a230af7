// Package e2e boots what bake makes of an example, as real hosts in the lab, and sees that the job is done.
package e2e

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/test/cluster"
)

// What examples/controllers.yaml says.
const serviceURL = "http://192.168.1.32:5000/v3"

func nodeAddress() map[string]netip.Addr {
	return map[string]netip.Addr{
		"controller_1": netip.MustParseAddr("192.168.56.101"),
		"controller_2": netip.MustParseAddr("192.168.56.102"),
	}
}

// faultLimit is for what is waited for: generous, because the machine may be busy with other tests.
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

// boot has the nodes serve what is behind the VIP and starts them.
func boot(t testing.TB, cl *cluster.Cluster) controllers {
	t.Helper()
	for name, addr := range nodeAddress() {
		h := cl.Nodes[strings.ReplaceAll(name, "_", "-")]
		if err := h.Serve(netip.AddrPortFrom(addr, 5000), keystone(name)); err != nil {
			t.Fatal(err)
		}
	}
	cl.Boot(t)
	return controllers{cl}
}

// keystone is the service behind: it answers GET /v3 with the name of its server.
func keystone(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v3", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
	return mux
}
