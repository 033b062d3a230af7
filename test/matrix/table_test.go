package matrix

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hapair/hapair/test/cluster"
)

const page = "../../docs/faults.md"

// table is what a release's pair went through.
type table struct {
	release, versions string
	family            cluster.Family
	results           []result
}

// title is the heading of a table, up to the versions.
func (t table) title() string {
	return "## " + t.release + map[cluster.Family]string{cluster.Dual: ", dual-stack", cluster.IPv6: ", IPv6 only"}[t.family] + ": "
}

const introduction = `# Faults

<!-- Written by "go test ./test/matrix -update": change it there. -->

What comes of everything that is known to take a pair of load balancers down. Each row is done for real, to two nodes that
were booted from a golden image, with their own systemd, keepalived, haproxy and ha-agent, in namespaces of one machine
with two processors that both nodes, the clients and the servers behind share. The fault strikes the node that holds the
virtual IP.

Two clients of the virtual IP ask all the time, 100 times a second each: one takes a new connection for each request, and
asks again whether it has been answered or not; the other keeps a connection alive for 25 requests, and waits for its
answers. A request is lost when it has no answer of status 200 within 900 ms, or when its connection is closed under it:
nothing is asked twice. "0 of 500, 12 ms" says that none of 500 requests was lost and that the longest time between two
answers was 12 ms; 10 ms is the shortest there can be. The kernel of each node tells when the virtual IP comes and goes.

A node that is paused is one that its hypervisor suspends or moves: nothing in it runs, and nothing reaches it. It lets go of
the virtual IP when it goes on: until then both have it, and one of them answers.

A row passes when no service is down at the end that could be up, never two nodes hold the virtual IP outside a cut network
and a pause, and nothing of the user's is lost: what was saved is in place, or set aside. Where requests are lost or the
virtual IP moves, that is what the fault costs. "go test" goes through all of it again each time, and asks for these things,
not for the same figures.

It goes through all of it with a pair of IPv4, and through what may differ with a dual-stack pair, which speaks VRRP over IPv4,
and an IPv6-only one. HAPAIR_FAMILY=dual,ipv6 goes through all of it with these. Each address of the virtual IP has two clients
of its own there, and the table has the figures of those that it was worst for; a node that has one of the addresses counts as
a holder.
`

// render writes the page: the tables of an older one, with the new ones in their places or after them.
func render(old string, tables []table) []byte {
	var sections []string
	for _, section := range strings.Split("\n"+old, "\n## ")[1:] {
		if section = "## " + strings.TrimSuffix(section, "\n") + "\n"; !strings.HasPrefix(absent, "\n"+section) {
			sections = append(sections, section)
		}
	}
	for _, t := range tables {
		i := slices.IndexFunc(sections, func(s string) bool { return strings.HasPrefix(s, t.title()) })
		if i < 0 {
			sections = append(sections, t.text())
		} else {
			sections[i] = t.text()
		}
	}
	return []byte(introduction + "\n" + strings.Join(sections, "\n") + absent)
}

// text is the section of one table.
func (t table) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s\n", t.title(), t.versions)
	group := ""
	for _, r := range t.results {
		if r.row.group != group {
			group = r.row.group
			fmt.Fprintf(&b, "\n### %s\n\n", group)
			b.WriteString("| fault | lost with new connections | lost with kept-alive ones | the VIP | what status said | in the end |\n|---|---|---|---|---|---|\n")
		}
		fmt.Fprintf(&b, "| %s | %v | %v | %s | %s | %s |\n", r.row.name, r.fresh, r.kept, r.holders, cell(r.said), cell(r.end))
	}
	return b.String()
}

// absent are the rows that there are not.
const absent = `
## What is not in the table

- keepalived killed by "systemctl kill --signal=KILL". That also kills ExecStopPost=, which takes the virtual IP off a node
  whose keepalived died; it goes 0.3 to 0.5 s later, when systemd starts keepalived again. The other node takes it after
  0.6 s, so on a machine that is very busy both may have it for a moment.
`

// cell makes text fit for a table, short, and free of what differs from run to run.
func cell(text string) string {
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "|", "\\|")), " ")
	text = regexp.MustCompile(`\[[A-Z]+\]\s+\(\d+\) : (config : )?|[0-9a-f]{64}|bad: `).ReplaceAllString(text, "")
	var once []string
	for _, sentence := range strings.Split(text, "; ") {
		if !slices.Contains(once, sentence) {
			once = append(once, sentence)
		}
	}
	text = strings.Join(once, "; ")
	if r := []rune(text); len(r) > 120 {
		text = strings.TrimSpace(string(r[:117])) + "…"
	}
	return text
}
