package rollout

import (
	"context"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/hapair/hapair/internal/agent/trial"
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
		// The node itself fills its disk, because there is little time between staging and the next step.
		const script = `cd /var/lib/ha-agent
until grep -qs '"phase": *"staged"' "$(find . -name "$1")"; do sleep 0.002; done
fallocate -l "$(df --output=avail -B1 . | tail -n 1)" filler || :
dd if=/dev/zero of=filler oflag=append conv=notrunc bs=4k 2>/dev/null || :`
		var filling sync.WaitGroup
		filling.Go(func() {
			if _, err := p.other.Must(t.Context(), "sh", "-uc", script, "sh", trial.TrialFile); err != nil {
				t.Error(err)
			}
		})
		out, err := p.when(t, specName(p.other)+": staged", func(*exec.Cmd) {})
		filling.Wait()
		if _, err := p.other.Must(t.Context(), "rm", "/var/lib/ha-agent/filler"); err != nil {
			t.Error(err)
		}
		// The agent's reserve may be enough to end the trial either way.
		if err == nil {
			p.want(t, p.before.Number+1, "more_205", 2)
		} else if strings.Contains(out, "no space left on device") {
			p.want(t, p.before.Number, "more_205", 0)
		} else {
			t.Errorf("the rollout failed for another reason: %v", err)
		}
	})
}
