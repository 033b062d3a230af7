package rollout

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/lab"
)

// smallDisk puts what the agent keeps on a small file system of its own while f runs.
func smallDisk(t *testing.T, h *lab.Host, f func()) {
	t.Helper()
	const on = `systemctl stop ha-agent.service; cp -a /var/lib/ha-agent /run/small
mount -t tmpfs -o size=128m,mode=711 small /var/lib/ha-agent; cp -a /run/small/. /var/lib/ha-agent/; rm -r /run/small
systemctl start ha-agent.service`
	const off = `systemctl stop ha-agent.service; rm -f /var/lib/ha-agent/filler; cp -a /var/lib/ha-agent /run/small
umount /var/lib/ha-agent; rm -r /var/lib/ha-agent; mv /run/small /var/lib/ha-agent; systemctl start ha-agent.service`
	if out, err := h.Must(t.Context(), "sh", "-euc", on); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer func() {
		if out, err := h.Must(context.WithoutCancel(t.Context()), "sh", "-euc", off); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}()
	f()
}

// fill fills the small disk.
func fill(t *testing.T, h *lab.Host) {
	t.Helper()
	if _, err := h.Must(t.Context(), "sh", "-c", "dd if=/dev/zero of=/var/lib/ha-agent/filler bs=4k 2>/dev/null || :"); err != nil {
		t.Error(err)
	}
}

// diskFull rolls out to a node whose disk is full.
func diskFull(t *testing.T, p *pair) {
	smallDisk(t, p.other, func() {
		fill(t, p.other)
		p.write(t, p.spec("", server(205)))
		if out := p.rollout(t, 1); !strings.Contains(out, specName(p.other)+": refused: the disk is full: ") {
			t.Errorf("the node with the full disk does not refuse: %s", out)
		}
		p.want(t, p.before.Number, "more_205", 0)
	})
}

// diskFills fills the disk of a node that has staged the revision.
func diskFills(t *testing.T, p *pair) {
	smallDisk(t, p.other, func() {
		p.write(t, p.spec("", server(205)))
		out, err := p.when(t, specName(p.other)+": staged", func(*exec.Cmd) { fill(t, p.other) })
		if err == nil || !strings.Contains(out, "no space left on device") {
			t.Errorf("the rollout does not end because the disk is full: %v", err)
		}
		if _, err := p.other.Must(t.Context(), "rm", "/var/lib/ha-agent/filler"); err != nil {
			t.Error(err)
		}
		p.want(t, p.before.Number, "more_205", 0)
	})
}
