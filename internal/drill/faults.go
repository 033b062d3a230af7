package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/fault"
	"github.com/hapair/hapair/internal/nearest"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/wellknown"
)

// drilled is a fault of the catalogue, or one of the drill's own, with what the drill expects of it.
type drilled struct {
	fault.Fault
	parted bool // a node cannot know that there is another holder, so two holders are allowed until the repair
	lasts  time.Duration
	// tracked means that the node must react because of its track file, which ha-agent writes. The track_script is only the
	// fallback.
	tracked bool
	// restarts are the units of the struck node that the fault may restart.
	restarts []string
}

// faults returns the faults of a cluster, in the order of a drill.
func (c *Cluster) faults() []drilled {
	titled := func(f fault.Fault, title string) fault.Fault {
		f.Title = title
		return f
	}
	unrepaired := func(f fault.Fault) fault.Fault { // systemd starts the killed process
		f.Repair = fault.Nothing
		return f
	}
	all := []drilled{
		{Fault: unrepaired(fault.HAProxyKilled()), tracked: true, restarts: []string{wellknown.HAProxyUnit}},
		{Fault: fault.HAProxyStuck(), tracked: true, restarts: []string{wellknown.HAProxyUnit}},
		{Fault: fault.PowerCut()},
		{Fault: titled(fault.LinksCut(c.vipInterfaces), "links of the VIPs' networks cut")},
		{Fault: fault.Fault{Name: "partition", Title: "nodes cut from each other for 3 s", Strike: c.isolate(true), Repair: c.isolate(false)}, parted: true, lasts: 3 * time.Second},
		{Fault: titled(fault.Maintenance(), "maintenance on, and off"), tracked: true},
		{Fault: fault.Fault{Name: "reload", Title: "haproxy.cfg changed and reloaded", Strike: c.change("# drill\n", journal.Proven), Repair: fault.Nothing}},
		{Fault: fault.Fault{Name: "bad-config", Title: "haproxy.cfg broken", Strike: c.change("\nfrontend drill\n    bind nonsense\n", journal.Refused), Repair: c.restore}},
		{Fault: fault.Reboot()},
		{Fault: fault.Shutdown()},
		{Fault: fault.KeepalivedStopped(), restarts: []string{wellknown.KeepalivedUnit}},
		{Fault: unrepaired(fault.KeepalivedKilled()), restarts: []string{wellknown.KeepalivedUnit}},
		{Fault: titled(fault.Freeze(), "node paused for 3 s"), parted: true, lasts: 3 * time.Second},
	}
	if c.byHand() {
		return faultsByHand(all)
	}
	return all
}

// FaultNames returns the names of all faults, in the order of a drill.
func FaultNames() []string {
	var names []string
	for _, f := range new(Cluster).faults() {
		names = append(names, f.Name)
	}
	return names
}

// chosen returns the faults with these names, in the order of the names. No names means all faults.
func (c *Cluster) chosen(names []string) ([]drilled, error) {
	all := c.faults()
	if len(names) == 0 {
		return all, nil
	}
	var out []drilled
	for _, name := range names {
		i := slices.IndexFunc(all, func(f drilled) bool { return f.Name == name })
		if i < 0 && c.byHand() {
			continue // it needs ha-agent
		}
		if i < 0 {
			return nil, fmt.Errorf("cannot find the fault %q: %s", name, nearest.OneOf(name, FaultNames()))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// CheckFaults returns an error if a name is not the name of a fault.
func CheckFaults(names []string) error {
	_, err := new(Cluster).chosen(names)
	return err
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
func (c *Cluster) isolate(isolated bool) fault.Act {
	return func(context.Context, *lab.Host) error {
		var err error
		for i, n := range c.plan.nodes {
			err = errors.Join(err, c.hosts[i].Isolate(n.vrrp, isolated))
		}
		return err
	}
}

const kept = wellknown.HAProxyConfig + ".drill" // haproxy and the agent ignore files with this extension

// save writes a file as an editor does: a new file with the same owner and mode replaces it.
const save = `cp -p "$1" "$1.new" && printf %s "$2" >>"$1.new" && mv "$1.new" "$1"`

// change appends text to haproxy.cfg, and waits for the agent's verdict.
func (c *Cluster) change(text string, want journal.Verdict) fault.Act {
	return func(ctx context.Context, h *lab.Host) error {
		before, err := lastChange(ctx, h)
		if err != nil {
			return err
		}
		if _, err := h.Must(ctx, "cp", "-p", wellknown.HAProxyConfig, kept); err != nil {
			return err
		}
		if _, err := h.Must(ctx, "sh", "-euc", save, "sh", wellknown.HAProxyConfig, text); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, c.limits.served)
		defer cancel()
		return verdict(ctx, h, before, want)
	}
}

// restore restores the previous haproxy.cfg. haproxy already runs it, so this is not a change for the agent.
func (c *Cluster) restore(ctx context.Context, h *lab.Host) error {
	if _, err := h.Must(ctx, "mv", kept, wellknown.HAProxyConfig); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.limits.served)
	defer cancel()
	return poll.Nil(ctx, 50*time.Millisecond, func() error {
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
	err := poll.Nil(ctx, 50*time.Millisecond, func() error {
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
