// Package fault is the catalogue of what goes wrong with a node: the drill, the bench and the tests strike with it. What a
// fault must lead to is theirs to say.
package fault

import (
	"context"
	"errors"

	"github.com/hapair/hapair/internal/lab"
)

// Fault is something that goes wrong on one node, and how it is put right again.
type Fault struct {
	Name   string // as in `bake drill --fault`: haproxy-kill
	Title  string // for people: haproxy killed
	Strike Act
	Repair Act
}

// Act does something to a node.
type Act func(ctx context.Context, h *lab.Host) error

// HAProxyKilled is a haproxy that dies. systemd starts it again.
func HAProxyKilled() Fault {
	return Fault{"haproxy-kill", "haproxy killed", On("systemctl kill --signal=KILL haproxy.service"), On("systemctl start haproxy.service")}
}

// HAProxyDead is a haproxy that dies and does not start again.
func HAProxyDead() Fault {
	return Fault{"haproxy-dead", "haproxy killed, its unit masked",
		On("systemctl mask --runtime haproxy.service; systemctl kill --signal=KILL haproxy.service"),
		On("systemctl unmask --runtime haproxy.service; systemctl reset-failed haproxy.service; systemctl start haproxy.service")}
}

// HAProxyStuck is a haproxy that runs and does not answer. The agent may have restarted it before the repair.
func HAProxyStuck() Fault {
	return Fault{"haproxy-stop", "haproxy stuck (SIGSTOP)",
		On("systemctl kill --signal=STOP haproxy.service"), On("systemctl kill --signal=CONT haproxy.service || true")}
}

// KeepalivedStopped is a keepalived that is stopped, and resigns.
func KeepalivedStopped() Fault {
	return Fault{"keepalived-stop", "keepalived stopped", On("systemctl stop keepalived.service"), On("systemctl start keepalived.service")}
}

// KeepalivedKilled is a keepalived that dies without a word. The youngest process is killed first: a child that sees its
// parent die resigns.
func KeepalivedKilled() Fault {
	return Fault{"keepalived-kill", "keepalived killed",
		On(`kill -KILL $(sort -rn "/sys/fs/cgroup$(systemctl show -P ControlGroup keepalived.service)/cgroup.procs")`),
		On("systemctl start keepalived.service")}
}

// PowerCut is a node that is gone from one moment to the next.
func PowerCut() Fault {
	return Fault{"node-crash", "node's power cut", func(_ context.Context, h *lab.Host) error { h.Kill(); return nil }, start}
}

// Shutdown is a node that is shut down in order.
func Shutdown() Fault {
	return Fault{"shutdown", "node shut down", func(ctx context.Context, h *lab.Host) error { return h.Stop(ctx) }, start}
}

// Reboot is a node that is rebooted in order. Nothing need be repaired.
func Reboot() Fault {
	return Fault{"reboot", "node rebooted", func(ctx context.Context, h *lab.Host) error { return h.Reboot(ctx) }, Nothing}
}

// Freeze is a node that is paused, as by its hypervisor.
func Freeze() Fault {
	return Fault{"node-freeze", "node paused",
		func(_ context.Context, h *lab.Host) error { return h.Pause() }, func(_ context.Context, h *lab.Host) error { return h.Resume() }}
}

// Maintenance is a node that is taken out of service on purpose.
func Maintenance() Fault {
	return Fault{"maintenance", "maintenance on", On("ha-agent maintenance on"), On("ha-agent maintenance off")}
}

// LinksCut are links that carry nothing any more: those of some interfaces of a node.
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

// On runs a shell script on a node.
func On(script string) Act {
	return func(ctx context.Context, h *lab.Host) error {
		_, err := h.Must(ctx, "sh", "-euc", script)
		return err
	}
}

// Nothing is an act that does nothing.
func Nothing(context.Context, *lab.Host) error { return nil }

func start(ctx context.Context, h *lab.Host) error { return h.Start(ctx) }
