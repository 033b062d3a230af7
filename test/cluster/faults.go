package cluster

import (
	"context"

	"github.com/hapair/hapair/internal/lab"
)

// Fault is a fault of the node that holds the VIP, and its repair.
type Fault struct {
	Name   string
	Strike func(ctx context.Context, h *lab.Host) error
	Repair func(ctx context.Context, h *lab.Host) error
}

// Faults returns the faults that every pair must survive. Each of them moves the VIP to the other node.
func Faults() []Fault {
	return []Fault{
		{"haproxy killed, its unit masked",
			On("systemctl mask --runtime haproxy.service; systemctl kill --signal=KILL haproxy.service"),
			On("systemctl unmask --runtime haproxy.service; systemctl reset-failed haproxy.service; systemctl start haproxy.service")},
		{"haproxy stopped by SIGSTOP", On("systemctl kill --signal=STOP haproxy.service"), On("systemctl kill --signal=CONT haproxy.service")},
		{"keepalived stopped", On("systemctl stop keepalived.service"), On("systemctl start keepalived.service")},
		{"node shut down", func(ctx context.Context, h *lab.Host) error { return h.Stop(ctx) }, start},
		{"power cut", func(_ context.Context, h *lab.Host) error { h.Kill(); return nil }, start},
		{"link of the nodes' network cut", cut("eth3"), heal("eth3")},
		{"link of the VIP's network cut", cut("eth4"), heal("eth4")},
		{"node rebooted", func(ctx context.Context, h *lab.Host) error { return h.Reboot(ctx) }, nothing},
	}
}

// On returns a function that runs a shell script on a host.
func On(script string) func(context.Context, *lab.Host) error {
	return func(ctx context.Context, h *lab.Host) error {
		_, err := h.Must(ctx, "sh", "-euc", script)
		return err
	}
}

func start(ctx context.Context, h *lab.Host) error { return h.Start(ctx) }

func nothing(context.Context, *lab.Host) error { return nil }

func cut(iface string) func(context.Context, *lab.Host) error {
	return func(_ context.Context, h *lab.Host) error { return h.Cut(iface) }
}

func heal(iface string) func(context.Context, *lab.Host) error {
	return func(_ context.Context, h *lab.Host) error { return h.Heal(iface) }
}
