package matrix

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const page = "../../docs/faults.md"

// table is what a release's pair went through.
type table struct {
	release, versions string
	results           []result
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
`

func render(tables []table) []byte {
	var b bytes.Buffer
	b.WriteString(introduction)
	for _, t := range tables {
		fmt.Fprintf(&b, "\n## %s: %s\n", t.release, t.versions)
		group := ""
		for _, r := range t.results {
			if r.row.group != group {
				group = r.row.group
				fmt.Fprintf(&b, "\n### %s\n\n", group)
				b.WriteString("| fault | lost with new connections | lost with kept-alive ones | the VIP | what status said | in the end |\n|---|---|---|---|---|---|\n")
			}
			fmt.Fprintf(&b, "| %s | %v | %v | %s | %s | %s |\n", r.row.name, r.fresh, r.kept, r.holders, cell(r.said), cell(r.end))
		}
	}
	return b.Bytes()
}

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
