package lab_test

import (
	"context"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/labtest"
)

func TestHost(t *testing.T) {
	root := labtest.Root(t, "trixie", lab.NodePackages()...)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	l, err := lab.New(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	base, err := l.Directory(root)
	if err != nil {
		t.Fatal(err)
	}
	h, err := l.AddHost(lab.HostConfig{Name: "a", Base: base, Interfaces: []lab.Interface{{"eth3", "mgmt"}, {"eth4", "vip"}}})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := h.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %v", time.Since(start))
	err = h.WaitRunning(ctx)
	t.Logf("running in %v: %v", time.Since(start), err)
	out, _, err := h.Run(ctx, "sh", "-c", "ip a; systemctl --failed; cloud-init status --long; systemd-analyze blame | head; cat /proc/self/cgroup; sysctl -w net.ipv4.ip_nonlocal_bind=1; ls -ld /sys/class/net/*; cat /proc/mounts")
	t.Log(out, err)
	t.Log(h.Logs(ctx, 200))
	t.Log(h.Console())
}
