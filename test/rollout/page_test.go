package rollout

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hapair/hapair/test/cluster"
)

var update = flag.Bool("update", false, "write the rollouts' section of docs/faults.md")

// result is a row of docs/faults.md.
type result struct {
	name        string
	fresh, kept cluster.Loss
	moves       cluster.Moves
	said, end   string
}

// heading begins the heading of the section.
const heading = "## Rollouts: "

const about = `
What happens to the same clients, and to the pair, during rollouts ([rollout.md](rollout.md)). "both run the old revision" means that
nothing of the new one is left on any node. If a rollout must restart haproxy or keepalived, the node hands the virtual IP over before,
which may break the request of each client that is in progress at that instant. Each row also checks that at any time exactly one node
held the virtual IP, and that both nodes run the same revision in the end and are healthy.

| what happens | lost with new connections | lost with kept-alive ones | the VIP | what bake printed last | in the end |
|---|---|---|---|---|---|
`

// page writes the section if the flag update is set. Scenarios that were not played, or failed, keep their rows.
func (p *pair) page(t *testing.T) {
	if !*update || p.Family != cluster.IPv4 {
		return
	}
	versions, err := cluster.Versions(t.Context(), p.hosts()[0])
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(heading + versions + "\n" + about)
	old, err := os.ReadFile(cluster.FaultPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		if i := slices.IndexFunc(p.results, func(r result) bool { return r.name == s.name }); i >= 0 {
			r := p.results[i]
			fmt.Fprintf(&b, "| %s | %v | %v | %v | %s | %s |\n", r.name, r.fresh, r.kept, r.moves, cluster.Cell(r.said), r.end)
		} else if _, row, found := strings.Cut(string(old), "| "+s.name+" |"); found {
			row, _, _ = strings.Cut(row, "\n")
			fmt.Fprintf(&b, "| %s |%s\n", s.name, row)
		}
	}
	introduction, sections := cluster.Sections(string(old))
	sections = cluster.Replace(sections, heading, b.String())
	if err := os.WriteFile(cluster.FaultPage, []byte(introduction+strings.Join(sections, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPageNamesScenarios checks that each row of the page is of a scenario that is still played.
func TestPageNamesScenarios(t *testing.T) {
	text, err := os.ReadFile(cluster.FaultPage)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), heading)
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		name, is := strings.CutPrefix(line, "| ")
		name, _, _ = strings.Cut(name, " |")
		if is && name != "what happens" && !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name && !s.aside }) {
			t.Errorf("%s has the row %q, which is no scenario: run HAPAIR_TEST=cluster go test ./test/rollout -update", cluster.FaultPage, name)
		}
	}
}
