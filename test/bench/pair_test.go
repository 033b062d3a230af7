package bench

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/test/cluster"
)

const url = cluster.PairURL

// spec returns a spec with the given advert_int, a stats page, and the programs with which people check haproxy.
func spec(advertInt string) []byte {
	return cluster.PairSpec(`stats: {port: 1936, user: admin, password: {file: secrets/stats}}
image: {packages: [psmisc, socat, curl, time]}
vrrp: {advert_int: ` + advertInt + `}`)
}

// pair is both nodes, with the servers behind them.
type pair struct {
	*cluster.Cluster
	way way
}

// bootPair boots both nodes of an image, and converts them to a way.
func bootPair(b *testing.B, bake *cluster.Bake, release, image string, w way) *pair {
	b.Helper()
	bake.Write(b, spec(w.advertInt))
	p := &pair{bake.Nodes(b, release, image), w}
	if err := p.ServePair(); err != nil {
		b.Fatal(err)
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

// settle waits until one node holds the VIP and both are ready for the next fault. It returns the holder.
func (p *pair) settle(ctx context.Context) (*lab.Host, error) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	var holder *lab.Host
	err := poll.Nil(ctx, 100*time.Millisecond, func() error {
		name, err := p.Holders.WaitOne(ctx, 300*time.Millisecond)
		if err != nil {
			return err
		}
		if p.way.home != "" && name != p.way.home {
			return fmt.Errorf("%s holds the VIP, want %s", name, p.way.home)
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

// settleLimit is generous: the slowest way needs two checks of 5 s and up to four advertisement intervals.
const settleLimit = 90 * time.Second

// inState returns nil if haproxy runs on a node and keepalived has entered a state. It reads keepalived's log, because that
// works with every version and configuration.
func inState(ctx context.Context, h *lab.Host, want string) error {
	out, _, err := h.Run(ctx, "sh", "-c", `systemctl is-active haproxy keepalived | uniq
journalctl --boot --unit=keepalived --output=cat --no-pager | sed -n 's/.*Entering \([A-Z]*\) STATE.*/\1/p' | tail -n 1`)
	if err == nil && strings.TrimSpace(out) != "active\n"+want {
		err = fmt.Errorf("%s is %q, want %s", h.Name, strings.Fields(out), want)
	}
	return err
}
