package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hapair/hapair/internal/lab"
)

// PairSpec returns a spec of the example's pair with the servers on separate machines, so that a fault of a node does not
// affect a server. more are additional lines.
func PairSpec(more string) []byte {
	return []byte(`apiVersion: hapair/v1
cluster: pair
nodes:
  - {name: controller_1, address: 192.168.56.101/24, interface: eth3}
  - {name: controller_2, address: 192.168.56.102/24, interface: eth3}
vips:
  - {name: public, address: 192.168.1.32/24, interface: eth4}
services:
  - name: web
    vip: public
    port: 5000
    mode: http
    check: {http: GET /, expect: 200}
    servers:
      - {name: web_1, address: 192.168.56.201}
      - {name: web_2, address: 192.168.56.202}
` + more + "\n")
}

// PairPort is the port of the pair's service.
const PairPort = 5000

// PairURL is the URL that clients of the pair request over IPv4.
const PairURL = "http://192.168.1.32:5000/"

// ServePair starts both servers of a pair.
func (c *Cluster) ServePair() error {
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("web\n")) })
	var err error
	for _, server := range []string{"192.168.56.201/24", "192.168.56.202/24"} {
		for _, prefix := range c.Family.Prefixes(server) {
			err = errors.Join(err, c.Lab.Serve("management", prefix, 5000, answer))
		}
	}
	return err
}

// Pipe runs a shell script with standard input on a host.
func Pipe(ctx context.Context, h *lab.Host, in, script string, args ...string) error {
	cmd, err := h.Command(ctx, "sh", append([]string{"-euc", script, "sh"}, args...)...)
	if err != nil {
		return err
	}
	cmd.Stdin = strings.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("on %s: %s: %w\n%s", h.Name, script, err, out)
	}
	return nil
}
