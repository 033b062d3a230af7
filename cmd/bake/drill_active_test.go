package main

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/drill"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

// drillActiveActive drills clusters in which every node is active. All use the same image, because an image has no
// identity.
func drillActiveActive(t *testing.T, images *goldenImages) {
	pair, three := exampleText(t, "active-active"), exampleText(t, "three-active")
	sticky := strings.Replace(pair, "preempt: true", "preempt: false", 1)
	for name, test := range map[string]struct {
		text   string
		faults []string
		maxGap string
		status int
	}{
		"a pair":      {pair, []string{"node-crash", "reboot"}, "1m", exitstatus.OK},
		"three nodes": {three, []string{"node-crash"}, "1m", exitstatus.OK},
		// Three advertisement intervals are 750 ms.
		"a pair without preempt": {sticky, []string{"node-crash"}, "200ms", exitstatus.No},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "a pair" {
				needs.InWide(t, "drillExamples has a cluster of three nodes, and the pairs of the matrix have no preempt")
			}
			s := parseSpec(t, test.text)
			if diff := cmp.Diff(imageOf(t, parseSpec(t, pair)), imageOf(t, s)); diff != "" {
				t.Fatalf("its image differs from the image of the pair:\n%s", diff)
			}
			b := images.with(t, name, test.text)
			r := drillToEnd(t, b, images.of(t, b), test.status, "--fault", strings.Join(test.faults, ","), "--max-gap", test.maxGap)
			if len(r.Faults) != len(test.faults) {
				t.Fatalf("the report has %d faults", len(r.Faults))
			}
			for _, f := range r.Faults {
				followActive(t, s, r.Nodes, f)
				if problems := f.Runs[0].Problems; test.status != exitstatus.OK &&
					(len(problems) == 0 || !strings.HasSuffix(problems[0], "longer than "+test.maxGap)) {
					t.Errorf("%s: problems %q", f.Name, problems)
				}
			}
		})
	}
}

// followActive checks who held each VIP. The VIPs of the struck node must move to one of the remaining nodes, and all others
// must stay. In the end, each VIP must be back on its preferred node or, without preempt, stay where it went.
func followActive(t *testing.T, s *spec.Spec, nodes []string, f drill.Fault) {
	t.Helper()
	struck := map[string]bool{}
	for _, run := range f.Runs {
		struck[run.Struck] = true
		left := slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return n == run.Struck })
		for i, v := range run.VIPs {
			t.Logf("%s of %s: %s was on %s, then on %s, and is on %s", f.Name, run.Struck, v.Name, v.Before, v.During, v.After)
			if v.Struck != (v.Before == run.Struck) || v.Struck != (v.Moved > 0) {
				t.Errorf("moved after %v ms, although struck is %v", v.Moved, v.Struck)
			}
			// A node that reboots can be back, with its VIP, before all VIPs have been served for long enough.
			if f.Name != "reboot" && !slices.Contains(left, v.During) || !v.Struck && v.During != v.Before {
				t.Errorf("must be on one of %q, and stay if its node was not struck", left)
			}
			end := v.During
			if s.VRRP.Preempt {
				end = s.VIPs[i].Prefer
			}
			if v.After != end {
				t.Errorf("must be on %s in the end", end)
			}
			if !v.Asked || v.Requests == 0 {
				t.Error("no client tests the VIP")
			}
		}
	}
	if s.VRRP.Preempt && len(struck) != len(nodes) {
		t.Errorf("%s: only %v were struck, want all nodes", f.Name, slices.Sorted(maps.Keys(struck)))
	}
}

// drillToEnd runs a drill that must end with the given status, and returns its report.
func drillToEnd(t *testing.T, b *cluster.Bake, golden string, status int, args ...string) drill.Report {
	t.Helper()
	data := filepath.Join(t.TempDir(), "report.json")
	p := startDrill(t, b, golden, append(args, "--json-report", data)...)
	select {
	case <-p.exited:
	case <-time.After(drillLimit):
		t.Fatalf("the drill does not end:\n%s", p.stderr.String())
	}
	if code := p.cmd.ProcessState.ExitCode(); code != status {
		t.Errorf("exit status %d, want %d\n%s", code, status, p.stderr.String())
	}
	return readReport(t, data)
}

func exampleText(t *testing.T, name string) string {
	t.Helper()
	text, ok := examples.Get(name)
	if !ok {
		t.Fatalf("there is no example %s", name)
	}
	return string(text)
}

func parseSpec(t *testing.T, text string) *spec.Spec {
	t.Helper()
	s, problems := spec.Parse("spec.yaml", []byte(text), spec.Sources{ReadFile: func(string) ([]byte, error) { return []byte("a password\n"), nil }})
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return s
}

func imageOf(t *testing.T, s *spec.Spec) recipe.Recipe {
	t.Helper()
	r, err := release.Get("noble")
	if err != nil {
		t.Fatal(err)
	}
	image, err := recipe.Image(s, r)
	if err != nil {
		t.Fatal(err)
	}
	return image
}
