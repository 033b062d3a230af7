package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/lab"
)

// fault is a fault of the node that holds a VIP, and its repair.
type fault struct {
	name   string
	title  string
	parted bool // a node cannot know that there is another holder, so two holders are allowed until the repair
	lasts  time.Duration
	// tracked means that the node must react because of its track file, which ha-agent writes. The track_script is only the
	// fallback.
	tracked bool
	// restarts are the units of the struck node that the fault may restart.
	restarts []string
	strike   func(ctx context.Context, c *Cluster, h *lab.Host) error
	repair   func(ctx context.Context, c *Cluster, h *lab.Host) error
}

func faults() []fault {
	return []fault{
		{name: "haproxy-kill", title: "haproxy killed", tracked: true, restarts: []string{haproxyUnit}, strike: sh("systemctl kill --signal=KILL haproxy.service"), repair: nothing},
		{name: "haproxy-stop", title: "haproxy stuck (SIGSTOP)", tracked: true, restarts: []string{haproxyUnit}, strike: sh("systemctl kill --signal=STOP haproxy.service"),
			repair: sh("systemctl kill --signal=CONT haproxy.service || true")}, // the agent may have restarted it in the meantime
		{name: "node-crash", title: "node's power cut", strike: crash, repair: start},
		{name: "link-cut", title: "links of the VIPs' networks cut", strike: link((*lab.Host).Cut), repair: link((*lab.Host).Heal)},
		{name: "partition", title: "nodes cut from each other for 3 s", parted: true, lasts: 3 * time.Second, strike: isolate(true), repair: isolate(false)},
		{name: "maintenance", title: "maintenance on, and off", tracked: true, strike: sh("ha-agent maintenance on"), repair: sh("ha-agent maintenance off")},
		{name: "reload", title: "haproxy.cfg changed and reloaded", strike: change("# drill\n", journal.Proven), repair: nothing},
		{name: "bad-config", title: "haproxy.cfg broken", strike: change("\nfrontend drill\n    bind nonsense\n", journal.Refused), repair: restore},
		{name: "reboot", title: "node rebooted", strike: reboot, repair: nothing},
		{name: "shutdown", title: "node shut down", strike: shutdown, repair: start},
		{name: "keepalived-stop", title: "keepalived stopped", restarts: []string{keepalivedUnit}, strike: sh("systemctl stop keepalived.service"), repair: sh("systemctl start keepalived.service")},
		{name: "keepalived-kill", title: "keepalived killed", restarts: []string{keepalivedUnit}, strike: sh(killKeepalived), repair: nothing},
		{name: "node-freeze", title: "node paused for 3 s", parted: true, lasts: 3 * time.Second, strike: freeze, repair: resume},
	}
}

// killKeepalived kills the newest process first. A process that sees its parent die would announce priority 0 to the other
// nodes.
const killKeepalived = `kill -KILL $(sort -rn "/sys/fs/cgroup$(systemctl show -P ControlGroup keepalived.service)/cgroup.procs")`

// FaultNames returns the names of all faults, in the order of a drill.
func FaultNames() []string {
	var names []string
	for _, f := range faults() {
		names = append(names, f.name)
	}
	return names
}

// chosen returns the faults with these names, in the order of the names. No names means all faults.
func chosen(names []string) ([]fault, error) {
	if len(names) == 0 {
		return faults(), nil
	}
	var out []fault
next:
	for _, name := range names {
		for _, f := range faults() {
			if f.name == name {
				out = append(out, f)
				continue next
			}
		}
		return nil, fmt.Errorf("cannot find the fault %q: must be one of %s", name, strings.Join(FaultNames(), ", "))
	}
	return out, nil
}

// CheckFaults returns an error if a name is not the name of a fault.
func CheckFaults(names []string) error {
	_, err := chosen(names)
	return err
}

func nothing(context.Context, *Cluster, *lab.Host) error { return nil }

func sh(script string) func(context.Context, *Cluster, *lab.Host) error {
	return func(ctx context.Context, _ *Cluster, h *lab.Host) error {
		_, err := h.Must(ctx, "sh", "-euc", script)
		return err
	}
}

func crash(_ context.Context, _ *Cluster, h *lab.Host) error {
	h.Kill()
	return nil
}

func start(ctx context.Context, _ *Cluster, h *lab.Host) error    { return h.Start(ctx) }
func reboot(ctx context.Context, _ *Cluster, h *lab.Host) error   { return h.Reboot(ctx) }
func shutdown(ctx context.Context, _ *Cluster, h *lab.Host) error { return h.Stop(ctx) }
func freeze(_ context.Context, _ *Cluster, h *lab.Host) error     { return h.Pause() }
func resume(_ context.Context, _ *Cluster, h *lab.Host) error     { return h.Resume() }

// link applies do to the interfaces of the VIPs that a node holds.
func link(do func(h *lab.Host, iface string) error) func(context.Context, *Cluster, *lab.Host) error {
	return func(_ context.Context, c *Cluster, h *lab.Host) error {
		var err error
		for _, name := range c.vipInterfaces(h) {
			err = errors.Join(err, do(h, name))
		}
		return err
	}
}

// vipInterfaces returns the interfaces of a host that carry VIPs.
func (c *Cluster) vipInterfaces(h *lab.Host) []string {
	seen := map[string]bool{}
	var names []string
	for i := range c.Spec.Nodes {
		n := &c.Spec.Nodes[i]
		if n.Hostname != h.Name {
			continue
		}
		for j := range c.Spec.VIPs {
			if name := c.Spec.VIPs[j].InterfaceOn(n); !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// isolate disconnects all nodes from each other on their own network. Clients and servers can still reach them.
func isolate(isolated bool) func(context.Context, *Cluster, *lab.Host) error {
	return func(_ context.Context, c *Cluster, _ *lab.Host) error {
		var err error
		for i, n := range c.plan.nodes {
			err = errors.Join(err, c.hosts[i].Isolate(n.vrrp, isolated))
		}
		return err
	}
}

const (
	haproxyCfg = "/etc/haproxy/haproxy.cfg"
	kept       = haproxyCfg + ".drill" // haproxy and the agent ignore files with this extension
)

// save writes a file as an editor does: a new file with the same owner and mode replaces it.
const save = `cp -p "$1" "$1.new" && printf %s "$2" >>"$1.new" && mv "$1.new" "$1"`

// change appends text to haproxy.cfg, and waits for the agent's verdict.
func change(text string, want journal.Verdict) func(context.Context, *Cluster, *lab.Host) error {
	return func(ctx context.Context, c *Cluster, h *lab.Host) error {
		before, err := lastChange(ctx, h)
		if err != nil {
			return err
		}
		if _, err := h.Must(ctx, "cp", "-p", haproxyCfg, kept); err != nil {
			return err
		}
		if _, err := h.Must(ctx, "sh", "-euc", save, "sh", haproxyCfg, text); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, c.limits.served)
		defer cancel()
		return verdict(ctx, h, before, want)
	}
}

// restore restores the previous haproxy.cfg. haproxy already runs it, so this is not a change for the agent.
func restore(ctx context.Context, c *Cluster, h *lab.Host) error {
	if _, err := h.Must(ctx, "mv", kept, haproxyCfg); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.limits.served)
	defer cancel()
	return waitFor(ctx, 50*time.Millisecond, func() error {
		s, err := statusOf(ctx, h)
		for _, t := range s.Targets {
			if t.Drift && err == nil {
				err = fmt.Errorf("the files of %s on %s are not those that it runs", t.Name, h.Name)
			}
		}
		return err
	})
}

func lastChange(ctx context.Context, h *lab.Host) (int, error) {
	s, err := statusOf(ctx, h)
	if err != nil || s.LastChange == nil {
		return 0, err
	}
	return s.LastChange.Number, nil
}

// verdict waits for the verdict on a change with a number higher than before.
func verdict(ctx context.Context, h *lab.Host, before int, want journal.Verdict) error {
	var got journal.Change
	err := waitFor(ctx, 50*time.Millisecond, func() error {
		s, err := statusOf(ctx, h)
		if err != nil {
			return err
		}
		if s.LastChange == nil || s.LastChange.Number <= before {
			return fmt.Errorf("ha-agent of %s has not judged the change", h.Name)
		}
		got = *s.LastChange
		return nil
	})
	if err == nil && got.Verdict != want {
		err = fmt.Errorf("ha-agent of %s reports %q for the change, want %q: %s", h.Name, got.Verdict, want, got.Reason)
	}
	return err
}
