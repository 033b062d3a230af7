package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/spec"
)

// Options are the options of a drill.
type Options struct {
	Spec *spec.Spec
	// Image is a golden image of the spec, in any format that `bake image` writes.
	Image string
	// Discard removes the image file as soon as it is open, so that it is not left behind, however the drill ends.
	Discard bool
	// Seeds are the directories with the nodes' NoCloud seeds, by node name.
	Seeds map[string]string
	// ByHand are the files of a pair that was set up by hand, by node of the spec and path. If it is not nil, the nodes run
	// these with the distribution's units, and without hapair.
	ByHand map[string]map[string][]byte
	// Release is the name of the image's release.
	Release string
	// Tell is called with a line for each event.
	Tell func(line string)
	// Live is called with the current state several times a second. It may be nil.
	Live func(Live)

	limits limits // the zero value means the defaults
}

// limits are timeouts. They are generous, because the machine may be small.
type limits struct {
	boot, served, settle time.Duration
	health               time.Duration // for what may come after a VIP is served, for example files that the agent has to prove
}

func usualLimits() limits {
	return limits{boot: 5 * time.Minute, served: time.Minute, settle: 3 * time.Minute, health: 20 * time.Second}
}

// Cluster is the cluster of a spec, booted in the lab, with a client for each address of a VIP.
type Cluster struct {
	Options
	Notes []string // what cannot be simulated, and why

	plan    *plan
	lab     *lab.Lab
	hosts   []*lab.Host
	targets []*watched
	health  health
	live    *live
	front   *front
}

// watched is a target with its observers.
type watched struct {
	target
	holders *lab.Holders
	client  *lab.Client // nil if there is none
	watch   *watch
}

// Boot boots the cluster, and waits until every VIP has one holder and every client gets answers.
func Boot(ctx context.Context, o Options) (c *Cluster, err error) {
	p, err := newPlan(o.Spec)
	if err != nil {
		return nil, err
	}
	if have, real := lab.OpenFiles(); have < real {
		p.note("a node's processes can open at most %d files, but %d on a real machine: this drill may not raise its own limit (setrlimit(2), CAP_SYS_RESOURCE)", have, real)
	}
	c = &Cluster{Options: o, plan: p, Notes: p.notes}
	if c.limits == (limits{}) {
		c.limits = usualLimits()
		if c.byHand() {
			c.limits.served = neverAfter
		}
	}
	for _, note := range p.notes {
		o.Tell("note: " + note)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if c.lab, err = lab.New(ctx); err != nil {
		return c, err
	}
	if err := c.build(ctx); err != nil {
		return c, err
	}
	if c.front, err = openFront(c.hosts); err != nil {
		c.Tell("note: " + err.Error())
	}
	return c, c.start(ctx)
}

// Close stops the cluster and removes everything.
func (c *Cluster) Close() error {
	c.live.stop()
	c.front.close()
	for _, t := range c.targets {
		if t.watch != nil {
			t.watch.stop()
		}
		t.holders.Stop()
	}
	if c.lab == nil {
		return nil
	}
	return c.lab.Close()
}

// build creates hosts, servers and clients, but does not start them.
func (c *Cluster) build(ctx context.Context) error {
	base, err := c.lab.Image(ctx, c.Image)
	if c.Discard {
		err = errors.Join(err, os.Remove(c.Image)) // the mounted image stays until it is unmounted
	}
	if err != nil {
		return err
	}
	for _, n := range c.plan.nodes {
		h, err := c.lab.AddHost(lab.HostConfig{Name: n.host, Base: base, Interfaces: n.interfaces, Seed: c.Seeds[n.name]})
		if err != nil {
			return err
		}
		c.hosts = append(c.hosts, h)
	}
	for _, s := range c.plan.servers {
		if err := c.serve(s); err != nil {
			return err
		}
	}
	for i, t := range c.plan.targets {
		w := &watched{target: t, holders: c.lab.Follow(ctx, t.address)}
		c.targets = append(c.targets, w)
		if t.url == "" {
			continue
		}
		client, err := c.lab.AddClient(ctx, fmt.Sprintf("%d", i+1), t.network, t.client)
		if err != nil {
			return err
		}
		w.client, w.watch = client, newWatch(ctx, client, t.question)
	}
	c.live = startLive(c)
	return nil
}

// serve starts a simulated server behind the load balancers, which answers every request.
func (c *Cluster) serve(s server) error {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(s.status)
		if s.status == http.StatusOK {
			_, _ = io.WriteString(w, s.name+"\n"+s.text+"\n")
		}
	})
	wrap := func(l net.Listener) net.Listener { return play(l, s.talk) }
	if s.node != "" {
		return c.host(s.node).ServeWrapped(s.address, wrap, handler)
	}
	return c.lab.ServeWrapped(s.network, c.prefixOn(s), s.address.Port(), wrap, handler)
}

// prefixOn returns a server's address with the prefix length of its network, so that answers find their way back.
func (c *Cluster) prefixOn(s server) netip.Prefix {
	addr := s.address.Addr()
	all := []spec.Address{}
	for _, n := range c.Spec.Nodes {
		all = append(all, n.Addresses...)
	}
	for _, v := range c.Spec.VIPs {
		all = append(all, v.Addresses...)
	}
	for _, a := range all {
		if p := prefixOf(a); p.Masked().Contains(addr) {
			return netip.PrefixFrom(addr, p.Bits())
		}
	}
	return netip.PrefixFrom(addr, addr.BitLen())
}

func (c *Cluster) host(name string) *lab.Host {
	i := slices.IndexFunc(c.hosts, func(h *lab.Host) bool { return h.Name == name })
	return c.hosts[i]
}

// start powers the hosts on.
func (c *Cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.limits.boot)
	defer cancel()
	began := time.Now()
	var group errgroup.Group
	for _, h := range c.hosts {
		group.Go(func() error {
			if err := h.Start(ctx); err != nil {
				return err
			}
			if err := h.WaitRunning(ctx); err != nil && ctx.Err() != nil {
				return err
			} else if err != nil {
				c.Tell("note: " + strings.TrimSpace(shownLogs(h, err.Error()))) // the checks below test what is needed
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := errors.Join(c.convert(ctx), c.settle(ctx)); err != nil {
		for _, h := range c.hosts {
			logs, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			err = fmt.Errorf("%w\n%s:\n%s", err, h.Name, shownLogs(h, h.Logs(logs, 20)))
			stop()
		}
		return fmt.Errorf("cannot start the cluster: %w", err)
	}
	var held []string
	for _, t := range c.targets {
		held = append(held, fmt.Sprintf("%s holds %s", strings.Join(t.holders.Now(), ", "), t.name))
	}
	c.Tell(fmt.Sprintf("up after %.1f s: %s", time.Since(began).Seconds(), strings.Join(held, ", ")))
	return nil
}
