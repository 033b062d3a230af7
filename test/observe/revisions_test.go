package observe

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/trial"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/wellknown"
)

// revisions leaves the nodes as an interrupted rollout and an edit by hand would: they run different revisions, one of them has
// another revision on trial, and a file of the other one was edited.
func (p *pair) revisions() situation {
	p.t.Helper()
	rolledOut := func(number int) (revision.Ref, revision.Content) {
		data := fmt.Appendf(nil, "revision %d\n", number)
		c := revision.Content{Files: []revision.File{{Path: "/etc/rolled-out", Mode: 0o644, Owner: "root", Group: "root", Digest: revision.Sum(data), Data: data}}}
		h := revision.Header{Format: revision.Format, Cluster: "controllers", Number: number, Token: make([]byte, 32),
			Nodes: []revision.Member{{Name: "controller_1", Addresses: []netip.Addr{netip.MustParseAddr("192.168.56.101")}, Content: c.Digest()}}}
		return h.Ref(), c
	}
	for i, h := range p.nodes {
		ref, c := rolledOut(i + 1)
		p.keepRevision(h, "contents/"+c.Digest()+".json", c)
		p.keepRevision(h, "state.json", map[string]any{"current": ref, "content": c.Digest(), "since": time.Now().UTC()})
	}
	p.keepRevision(p.nodes[1], trial.TrialFile, trial.Trial{Header: revision.Header{Format: revision.Format, Number: 3}, Node: "controller_2", Phase: revision.OnTrial, Since: time.Now().UTC(), Waits: "controller_1"})
	pages := p.scraped("the revisions are reported", func(pages []string) bool {
		return has(pages[0], `hapair_revision_drift_files 1`) && has(pages[1], `hapair_revision_trial 1`) && has(pages[1], `hapair_revision_info\{.*\} 1`)
	})
	if text := p.text(p.nodes[0]); !strings.Contains(text, "/etc/rolled-out") {
		p.t.Errorf("the status does not name the file that was edited:\n%s", text)
	}
	for _, h := range p.nodes {
		p.must(h, "rm -r "+wellknown.Revisions)
	}
	return situation{name: "revisions", pages: pages, alerts: []string{"HapairRevisionDrift", "HapairRevisionsDiffer", "HapairTrial"}, at: "80m"}
}

// keepRevision writes a file of a node's store of revisions.
func (p *pair) keepRevision(h *lab.Host, name string, v any) {
	p.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		p.t.Fatal(err)
	}
	p.must(h, fmt.Sprintf("install -d -m 0700 %s/contents; umask 077; cat >%[1]s/%s <<'EOF'\n%s\nEOF", wellknown.Revisions, name, b))
}
