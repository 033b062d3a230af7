package rollout

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/testing/eventually"
)

// back boots a node that has lost its power.
func back(t *testing.T, h *lab.Host) {
	t.Helper()
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.WaitRunning(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// nodeDies cuts the power of the first node while the second one applies the revision.
func nodeDies(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(211)))
	out, err := p.when(t, specName(p.holder)+": take over haproxy", func(*exec.Cmd) { p.other.Kill() })
	if err == nil || !strings.Contains(out, "cannot tell what all nodes run") || !strings.Contains(out, "bake verify") {
		t.Errorf("bake does not say that a node is gone: %v", err)
	}
	if s, err := p.show(t.Context(), p.holder); err != nil || s.Trial != nil || s.Current != p.before {
		t.Errorf("the node that is left has %+v, %v, want %v", s, err, p.before)
	}
	if out, code := p.run(t, "verify", p.bake.Spec); code == 0 || !strings.Contains(out, "cannot reach "+specName(p.other)) {
		t.Errorf("bake verify does not say that a node is gone: exit status %d: %s", code, out)
	}
	back(t, p.other)
	p.want(t, p.before.Number, "more_211", 0)
}

// nodeLost cuts the power of a node for good, when both are on trial and bake is killed. What the other one waits for is said,
// with the command that ends it.
func nodeLost(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(211)))
	p.killedAt(t, specName(p.holder)+": take over haproxy") // it goes on trial by itself
	p.other.Kill()
	eventually.Nil(t, converged, func() error {
		s, err := p.show(t.Context(), p.holder)
		if err == nil && (s.Trial == nil || s.Trial.Phase != revision.OnTrial || !strings.Contains(s.Trial.Waits, specName(p.other)+" does not answer")) {
			err = fmt.Errorf("the trial is %+v", s.Trial)
		}
		return err
	})
	const settle = "ha-agent revision settle undone"
	if out, code := p.run(t, "verify", p.bake.Spec); code == 0 || !strings.Contains(out, settle) {
		t.Errorf("bake verify does not name the command that ends the trial: exit status %d: %s", code, out)
	}
	if out, err := p.holder.Must(t.Context(), "sh", "-c", settle); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	eventually.Nil(t, converged, func() error {
		s, err := p.show(t.Context(), p.holder)
		if err == nil && (s.Trial != nil || s.Current != p.before) {
			err = fmt.Errorf("the node has %+v", s)
		}
		return err
	})
	back(t, p.other)
	p.want(t, p.before.Number, "more_211", 0)
}
