package drill

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/fault"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/wellknown"
)

// neverAfter is how long a drill waits until a pair that was set up by hand serves again. Octavia's values need 9 s.
const neverAfter = 20 * time.Second

// byHand reports whether the nodes run a pair that was set up by hand.
func (c *Cluster) byHand() bool { return c.ByHand != nil }

// settledFor is how long nothing may move before the next fault. A pair that was set up by hand may take a VIP back after four
// advertisement intervals, which the drill cannot know.
func (c *Cluster) settledFor() time.Duration {
	if c.byHand() {
		return 8 * time.Second
	}
	return settledFor
}

// home returns the host that must hold a target; "" means any.
func (c *Cluster) home(t *watched) string {
	if c.byHand() {
		return ""
	}
	return t.home
}

// convert removes hapair from the nodes and installs the files of the pair that was set up by hand.
func (c *Cluster) convert(ctx context.Context) error {
	if !c.byHand() {
		return nil
	}
	if err := c.waitRunning(ctx); err != nil {
		return err
	}
	var group errgroup.Group
	for i, h := range c.hosts {
		files := c.ByHand[c.plan.nodes[i].name]
		group.Go(func() error { return convertHost(ctx, h, files) })
	}
	return group.Wait()
}

// waitRunning waits until hapair's own services run, so that nothing starts them later.
func (c *Cluster) waitRunning(ctx context.Context) error {
	for _, h := range c.hosts {
		if err := poll.Nil(ctx, 200*time.Millisecond, func() error { return ready(ctx, h) }); err != nil {
			return err
		}
	}
	return nil
}

func convertHost(ctx context.Context, h *lab.Host, files map[string][]byte) error {
	if _, err := h.Must(ctx, "sh", "-euc", `systemctl disable --now ha-agent.service
systemctl stop keepalived.service haproxy.service
rm -f /etc/systemd/system/haproxy.service.d/hapair.conf /etc/systemd/system/keepalived.service.d/hapair.conf
rm -f /usr/lib/systemd/system/haproxy.service.d/hapair.conf /usr/lib/systemd/system/keepalived.service.d/hapair.conf
systemctl daemon-reload
systemd-tmpfiles --create || true # the runtime folders of the packages ended with the units
mkdir -p /run/haproxy`); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		mode := fs.FileMode(0o755) // scripts, and files that haproxy reads after it has given up root's rights
		if name == wellknown.HAProxyConfig || name == wellknown.KeepalivedConfig {
			mode = 0o644
		}
		if _, err := h.Must(ctx, "mkdir", "-p", path.Dir(name)); err != nil {
			return err
		}
		if err := h.WriteFile(name, mode, files[name]); err != nil {
			return err
		}
	}
	if out, code, err := h.Run(ctx, "sh", "-c", "haproxy -c -f "+wellknown.HAProxyConfig+" 2>&1"); err != nil || code != 0 {
		return fmt.Errorf("haproxy of %s refuses the old haproxy.cfg: %s", h.Name, strings.TrimSpace(out))
	}
	_, err := h.Must(ctx, "systemctl", "restart", "haproxy.service", "keepalived.service")
	return err
}

// readyByHand returns nil if both daemons run on a host.
func readyByHand(ctx context.Context, h *lab.Host) error {
	out, _, err := h.Run(ctx, "systemctl", "is-active", "haproxy.service", "keepalived.service")
	if err != nil {
		return err
	}
	if strings.Join(strings.Fields(out), " ") != "active active" {
		return fmt.Errorf("haproxy and keepalived of %s are %s", h.Name, strings.Join(strings.Fields(out), " and "))
	}
	return nil
}

// restartByHand restarts both daemons on all nodes that are on, as an operator would at last.
func (c *Cluster) restartByHand(ctx context.Context) error {
	for _, h := range c.hosts {
		if h.On() {
			_, _, _ = h.Run(ctx, "systemctl", "restart", "haproxy.service", "keepalived.service")
		}
	}
	return c.settle(ctx)
}

// faultsByHand returns the faults that do not need ha-agent.
func faultsByHand(all []drilled) []drilled {
	var out []drilled
	for _, f := range all {
		switch f.Name {
		case "maintenance", "reload", "bad-config":
			continue
		case "keepalived-kill":
			f.Repair = fault.On("systemctl reset-failed keepalived.service || true; systemctl restart keepalived.service")
		}
		f.tracked, f.restarts = false, nil
		out = append(out, f)
	}
	return out
}
