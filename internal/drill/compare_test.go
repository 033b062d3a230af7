package drill

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/lab/fault"
)

// compared returns a comparison of two VIPs: one that the old pair lost for good, and one that was on the other node.
func compared() *Comparison {
	vips := []Asked{{Name: "public", URL: "http://192.0.2.10:80/", Services: []string{"web", "api", "mail", "queue", "cache"}}, {Name: "db", URL: "http://192.0.2.11:5432/", Services: []string{"postgres"}}}
	side := func(gaps map[string]Millis, never string, two Millis) *Report {
		r := &Report{Cluster: "edge", Release: "noble", AdvertMS: 250, Versions: map[string]string{"haproxy": "2.8.16", "keepalived": "2.2.8"}, VIPs: vips}
		for _, f := range []fault.Fault{{Name: "haproxy-kill", Title: "haproxy killed"}, {Name: "haproxy-stop", Title: "haproxy stuck (SIGSTOP)"}, {Name: "node-crash", Title: "node's power cut"}} {
			run := Run{Struck: "lb1", Never: f.Name == never, VIPs: []VIPRun{
				{Name: "public", Struck: true, Asked: true, Gap: gaps[f.Name], Lost: int(gaps[f.Name] / 5)},
				{Name: "db", Struck: f.Name == "node-crash", Asked: true, Gap: 12, Overlap: two}}}
			r.add(drilled{Fault: f}, []Run{run})
		}
		return r
	}
	old := side(map[string]Millis{"haproxy-kill": 1703, "haproxy-stop": 23000, "node-crash": 3168}, "haproxy-stop", 1400)
	now := side(map[string]Millis{"haproxy-kill": 15, "haproxy-stop": 213, "node-crash": 760}, "", 0)
	now.add(drilled{Fault: fault.Fault{Name: "reload", Title: "haproxy.cfg changed and reloaded"}}, []Run{{}})
	return &Comparison{Old: old, New: now, Why: map[string]string{"haproxy-stop": `the script "killall -0 haproxy" only looks for a process`}}
}

func TestComparison(t *testing.T) {
	var text, page bytes.Buffer
	if err := compared().Print(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.txt", text.Bytes())
	if err := compared().HTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"web, api, mail, queue and 1 more <small>public</small>", "none at all after: haproxy stuck (SIGSTOP)", "no answer for up to 760 ms", "only looks for a process"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not contain %q", want)
		}
	}
}
