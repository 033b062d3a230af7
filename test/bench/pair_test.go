package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/test/cluster"
)

// spec is the example's pair with the servers behind it on machines of their own: what breaks on a node is then the
// node's alone.
const spec = `apiVersion: hapair/v1
cluster: bench
image: {packages: [psmisc]} # killall, for those who configure by hand
nodes:
  - {name: controller_1, address: 192.168.56.101/24, interface: eth3}
  - {name: controller_2, address: 192.168.56.102/24, interface: eth3}
vips:
  - {name: public, address: 192.168.1.32/24, interface: eth4}
vrrp: {advert_int: %s}
services:
  - name: web
    vip: public
    port: 5000
    mode: http
    check: {http: GET /, expect: 200}
    servers:
      - {name: web_1, address: 192.168.56.201}
      - {name: web_2, address: 192.168.56.202}
`

const url = "http://192.168.1.32:5000/"

// pair is both nodes, with what is behind them.
type pair struct {
	*cluster.Cluster
	way way
}

// bootPair boots both nodes of an image, and makes them what a way wants.
func bootPair(b *testing.B, bake *cluster.Bake, release, image string, w way) *pair {
	b.Helper()
	bake.Write(b, []byte(fmt.Sprintf(spec, w.advertInt)))
	p := &pair{bake.Nodes(b, release, image), w}
	for _, server := range []string{"192.168.56.201/24", "192.168.56.202/24"} {
		answer := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("web\n")) })
		if err := p.Lab.Serve("management", netip.MustParsePrefix(server), 5000, answer); err != nil {
			b.Fatal(err)
		}
	}
	p.Boot(b)
	versions, err := cluster.Versions(b.Context(), p.Nodes["controller-1"])
	if err != nil {
		b.Fatal(err)
	}
	found.Versions[release] = versions
	for name, h := range p.Nodes {
		if err := w.convert(b.Context(), h, strings.TrimPrefix(name, "controller-")); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// settle waits until one node holds the VIP, and both are ready for the next fault; it gives the holder.
func (p *pair) settle(ctx context.Context) (*lab.Host, error) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	var holder *lab.Host
	err := poll(ctx, 100*time.Millisecond, func() error {
		name, err := p.Holders.WaitOne(ctx, 500*time.Millisecond)
		if err != nil {
			return err
		}
		if p.way.home != "" && name != p.way.home {
			return fmt.Errorf("%s holds the VIP, and not %s", name, p.way.home)
		}
		holder = p.Nodes[name]
		for _, h := range p.Nodes {
			want := "BACKUP"
			if h == holder {
				want = "MASTER"
			}
			if err := inState(ctx, h, want); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	_, err = p.Client.WaitAnswer(ctx, url)
	return holder, err
}

// settleLimit is generous: the slowest way needs two checks of 5 s and an advertisement or four.
const settleLimit = 90 * time.Second

// inState tells whether haproxy runs on a node and keepalived has come to a state: by its log, which every version of it
// and every configuration has.
func inState(ctx context.Context, h *lab.Host, want string) error {
	out, _, err := h.Run(ctx, "sh", "-c", `systemctl is-active haproxy keepalived | uniq
journalctl --boot --unit=keepalived --output=cat --no-pager | sed -n 's/.*Entering \([A-Z]*\) STATE.*/\1/p' | tail -n 1`)
	if err == nil && strings.TrimSpace(out) != "active\n"+want {
		err = fmt.Errorf("%s is %q, and not %s", h.Name, strings.Fields(out), want)
	}
	return err
}

// poll calls f until it gives no error.
func poll(ctx context.Context, every time.Duration, f func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}
