// Package fault is the catalogue of faults of a node for the drill, the bench and the tests. These define the expected
// result of a fault.
package fault

import (
	"context"
	"errors"

	"github.com/hapair/hapair/internal/lab"
)

// Fault is a fault of one node, and its repair.
type Fault struct {
	Name   string // as in `bake drill --fault`: haproxy-kill
	Title  string // for people: haproxy killed
	Strike Act
	Repair Act
}

// Act changes a node.
type Act func(ctx context.Context, h *lab.Host) error

// HAProxyKilled kills haproxy. systemd starts it again.
func HAProxyKilled() Fault {
	return Fault{"haproxy-kill", "haproxy killed", On("systemctl kill --signal=KILL haproxy.service"), On("systemctl start haproxy.service")}
}

// HAProxyDead kills haproxy so that it does not start again.
func HAProxyDead() Fault {
	return Fault{"haproxy-dead", "haproxy killed, its unit masked",
		On("systemctl mask --runtime haproxy.service; systemctl kill --signal=KILL haproxy.service"),
		On("systemctl unmask --runtime haproxy.service; systemctl reset-failed haproxy.service; systemctl start haproxy.service")}
}

// HAProxyStuck stops haproxy, so that it runs but does not answer. The agent may have restarted it before the repair.
func HAProxyStuck() Fault {
	return Fault{"haproxy-stop", "haproxy stuck (SIGSTOP)",
		On("systemctl kill --signal=STOP haproxy.service"), On("systemctl kill --signal=CONT haproxy.service || true")}
}

// KeepalivedStopped stops keepalived, which resigns.
func KeepalivedStopped() Fault {
	return Fault{"keepalived-stop", "keepalived stopped", On("systemctl stop keepalived.service"), On("systemctl start keepalived.service")}
}

// KeepalivedKilled kills keepalived so that it cannot resign. It kills the newest process first, because a child that sees
// its parent die resigns.
func KeepalivedKilled() Fault {
	return Fault{"keepalived-kill", "keepalived killed",
		On(`kill -KILL $(sort -rn "/sys/fs/cgroup$(systemctl show -P ControlGroup keepalived.service)/cgroup.procs")`),
		On("systemctl start keepalived.service")}
}

// PowerCut cuts a node's power.
func PowerCut() Fault {
	return Fault{"node-crash", "node's power cut", func(_ context.Context, h *lab.Host) error { h.Kill(); return nil }, start}
}

// Shutdown shuts a node down cleanly.
func Shutdown() Fault {
	return Fault{"shutdown", "node shut down", func(ctx context.Context, h *lab.Host) error { return h.Stop(ctx) }, start}
}

// Reboot reboots a node cleanly. No repair is needed.
func Reboot() Fault {
	return Fault{"reboot", "node rebooted", func(ctx context.Context, h *lab.Host) error { return h.Reboot(ctx) }, Nothing}
}

// Freeze pauses a node, like a hypervisor does.
func Freeze() Fault {
	return Fault{"node-freeze", "node paused",
		func(_ context.Context, h *lab.Host) error { return h.Pause() }, func(_ context.Context, h *lab.Host) error { return h.Resume() }}
}

// Maintenance puts a node into maintenance.
func Maintenance() Fault {
	return Fault{"maintenance", "maintenance on", On("ha-agent maintenance on"), On("ha-agent maintenance off")}
}

// LinksCut cuts the links of some interfaces of a node.
func LinksCut(interfaces func(h *lab.Host) []string) Fault {
	each := func(do func(h *lab.Host, iface string) error) Act {
		return func(_ context.Context, h *lab.Host) error {
			var err error
			for _, name := range interfaces(h) {
				err = errors.Join(err, do(h, name))
			}
			return err
		}
	}
	return Fault{"link-cut", "links cut", each((*lab.Host).Cut), each((*lab.Host).Heal)}
}

// On returns an act that runs a shell script on a node.
func On(script string) Act {
	return func(ctx context.Context, h *lab.Host) error {
		_, err := h.Must(ctx, "sh", "-euc", script)
		return err
	}
}

// Nothing does nothing.
func Nothing(context.Context, *lab.Host) error { return nil }

func start(ctx context.Context, h *lab.Host) error { return h.Start(ctx) }
