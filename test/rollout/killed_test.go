package rollout

import (
	"fmt"
	"testing"

	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/test/cluster"
)

// killedEarly kills bake when it prints a text, before all nodes are on trial: both must go back.
func killedEarly(text string) func(*testing.T, *pair) {
	return func(t *testing.T, p *pair) {
		p.write(t, p.spec("", server(206)))
		p.killedAt(t, text)
		p.want(t, p.before.Number, "more_206", 0)
	}
}

// killedOnTrial kills bake when it is about to confirm: the nodes may come to either end, but to the same one.
func killedOnTrial(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(210)))
	p.killedAt(t, specName(p.holder)+": on trial") // the second
	nodes := 0
	if p.one(t, converged) != p.before {
		nodes = 2
	}
	p.want(t, p.before.Number+nodes/2, "more_210", nodes)
}

// killedWhenConfirmed kills bake when one node is confirmed: the other one must follow.
func killedWhenConfirmed(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(207)))
	p.killedAt(t, ": confirmed")
	p.want(t, p.before.Number+1, "more_207", 2)
}

// confirmedOnOne kills bake before it confirms, and confirms one node: the other one must learn of it from that node.
func confirmedOnOne(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(209)))
	p.killedAt(t, specName(p.holder)+": take over haproxy")
	var id string
	eventually.Nil(t, converged, func() error {
		for _, h := range p.hosts() {
			s, err := p.show(t.Context(), h)
			if err != nil {
				return err
			}
			if s.Trial == nil || s.Trial.Phase != revision.OnTrial || !s.Trial.Open {
				return fmt.Errorf("the trial of %s is %+v", h.Name, s.Trial)
			}
			id = s.Trial.ID
		}
		return nil
	})
	if err := cluster.Pipe(t.Context(), p.other, fmt.Sprintf(`{"op":"commit","id":%q}`+"\n", id), "ha-agent revision serve"); err != nil {
		t.Fatal(err)
	}
	p.want(t, p.before.Number+1, "more_209", 2)
}
