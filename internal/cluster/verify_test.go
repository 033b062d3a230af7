package cluster

import (
	"testing"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/verify"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/revision"
)

func TestOneHolder(t *testing.T) {
	holds := NodeReport{Node: "a", VIPs: []control.VIP{{Name: "public", Held: true}}}
	also := NodeReport{Node: "b", VIPs: []control.VIP{{Name: "public", Held: true}}}
	backup := NodeReport{Node: "b", VIPs: []control.VIP{{Name: "public"}}}
	gone := NodeReport{Node: "b", Err: "no answer"}
	for name, c := range map[string]struct {
		nodes []NodeReport
		ok    bool
		text  string
	}{
		"one":               {[]NodeReport{holds, backup}, true, "a"},
		"two":               {[]NodeReport{holds, also}, false, "held by a and b"},
		"one, and silence":  {[]NodeReport{holds, gone}, false, "b cannot be queried"},
		"none":              {[]NodeReport{backup}, false, "no node holds it"},
		"none, and silence": {[]NodeReport{gone}, false, "b cannot be queried"},
	} {
		r := oneHolder("public", c.nodes)
		if got := r.Detail + r.Why; r.OK != c.ok || got != c.text {
			t.Errorf("%s: %v %q, want %v %q", name, r.OK, got, c.ok, c.text)
		}
	}
}

func TestOneRevision(t *testing.T) {
	at := func(number int, drift ...string) *control.Revision {
		return &control.Revision{Ref: revision.Ref{Number: number, ID: "abc"}, Drift: drift}
	}
	tried := at(1)
	tried.Trial = &revision.TrialState{Ref: revision.Ref{Number: 2, ID: "def"}, Phase: revision.OnTrial}
	for name, c := range map[string]struct {
		b    NodeReport
		ok   bool
		text string
	}{
		"the same":     {NodeReport{Node: "b", Revision: at(1)}, true, "revision 1 (abc)"},
		"an older one": {NodeReport{Node: "b"}, false, "a runs revision 1 (abc); b runs revision 0"},
		"edited":       {NodeReport{Node: "b", Revision: at(1, "/x")}, false, "/x was edited on b"},
		"on trial":     {NodeReport{Node: "b", Revision: tried}, false, "on b, revision 2 (def) is on trial"},
		"silent":       {NodeReport{Node: "b", Err: "x"}, false, "b cannot be queried"},
	} {
		r := oneRevision([]NodeReport{{Node: "a", Revision: at(1)}, c.b})
		if got := r.Detail + r.Why; r.OK != c.ok || got != c.text {
			t.Errorf("%s: %v %q, want %v %q", name, r.OK, got, c.ok, c.text)
		}
	}
}

func TestStatus(t *testing.T) {
	good, bad := verify.Results{{OK: true}}, verify.Results{{OK: false}}
	for name, c := range map[string]struct {
		report Report
		want   int
	}{
		"good":          {Report{[]NodeReport{{Steps: good}}, good}, exitstatus.OK},
		"a bad step":    {Report{[]NodeReport{{Steps: bad}}, good}, exitstatus.No},
		"a bad cluster": {Report{[]NodeReport{{Steps: good}}, bad}, exitstatus.No},
		"no answer":     {Report{[]NodeReport{{Steps: bad}, {Err: "x"}}, bad}, exitstatus.Failure},
	} {
		if got := c.report.Status(); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestWaitingFor(t *testing.T) {
	got := waitingFor(map[string]bool{"b": true, "a": true, "c": false})
	if want := "waiting for a, b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
