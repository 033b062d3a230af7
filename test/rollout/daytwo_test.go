package rollout

import (
	"os"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/testing/eventually"
)

// documented runs the commands of docs/rollout.md: those of bake in blocks of "sh rollout", and those of a node in "sh node".
func documented(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(212)))
	runPage(t, "../../docs/rollout.md", 4, map[string]func(line string){
		"sh rollout": func(line string) {
			args := strings.Fields(strings.Replace(line, "lb.yaml", p.bake.Spec, 1))
			if out, code := p.run(t, append(args[1:], "--yes")...); code != 0 {
				t.Errorf("%s: exit status %d\n%s", line, code, out)
			}
		},
		"sh node": func(line string) {
			if out, err := p.hosts()[0].Must(t.Context(), "sh", "-c", line); err != nil || !strings.Contains(out, "revision ") {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		},
	})
}

// runPage runs each line of a page's blocks, of which there must be at least some, by the words that open the block. Each block
// must be of a known kind.
func runPage(t *testing.T, path string, least int, kinds map[string]func(line string)) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	where, ran := "", 0
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if kind, fence := strings.CutPrefix(line, "```"); fence {
			where = kind
			continue
		}
		if where == "" {
			continue
		}
		if run := kinds[where]; run != nil {
			run(line)
		} else {
			t.Errorf("no test runs the block of %q: %s", where, line)
		}
		ran++
	}
	if ran < least {
		t.Errorf("%d commands of %s were run, want at least %d", ran, path, least)
	}
}

// validAndWrong gives all servers a port on which nothing listens: the spec is valid, and no server passes its check.
func validAndWrong(t *testing.T, p *pair) {
	good := p.spec("", server(203), server(204))
	p.write(t, good)
	p.rollout(t, 0)
	before := p.one(t, converged)
	wrong := strings.NewReplacer("192.168.56.201}", "192.168.56.201, port: 5999}", "192.168.56.202}", "192.168.56.202, port: 5999}",
		"192.168.56.203}", "192.168.56.203, port: 5999}", "192.168.56.204}", "192.168.56.204, port: 5999}").Replace(string(good))
	p.write(t, []byte(wrong))
	out := p.rollout(t, 1)
	name := specName(p.other)
	if !strings.Contains(out, name+": FAILED") || strings.Count(out, "FAILED") != 1 || !strings.Contains(out, `backend "web" had a server up before this change, and has none now`) {
		t.Errorf("not only the node without the VIP has tried it, or for another reason: %s", out)
	}
	p.want(t, before.Number, ":5999", 0)
	p.write(t, good)
	p.compare(t)
}

// serversSet takes a server out on all nodes. It stays out when a node is booted anew, and when the VIP moves there.
func serversSet(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(208)))
	if out, code := p.run(t, "server", "drain", "web/web_1", p.bake.Spec); code != 0 {
		t.Fatalf("exit status %d: %s", code, out)
	}
	const drained = `echo "show stat web 4 -1" | socat - /run/haproxy/admin.sock | grep ^web,web_1, | cut -d, -f18 | grep -x DRAIN`
	check := func() {
		for _, h := range p.hosts() {
			eventually.Nil(t, converged, func() error {
				_, err := h.Must(t.Context(), "sh", "-c", drained)
				return err
			})
		}
	}
	check()
	p.other.Kill()
	back(t, p.other)
	check()
	p.move(t)
	check()
	if out, code := p.run(t, "server", "ready", "web/web_1", p.bake.Spec); code != 0 {
		t.Errorf("exit status %d: %s", code, out)
	}
	p.want(t, p.before.Number, "disabled", 0)
	p.said, p.end = "", "the server is drained on both nodes until it is made ready"
}

// runbook runs the commands of docs/runbook.md: those of bake in blocks of "sh bake", and those of a node in "sh node".
func runbook(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(208)))
	p.rollout(t, 0)
	runPage(t, "../../docs/runbook.md", 15, map[string]func(line string){
		"sh bake": func(line string) { p.runbookBake(t, line) },
		"sh node": func(line string) {
			if out, err := p.hosts()[1].Must(t.Context(), "sh", "-c", line); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		},
	})
	p.Settle(t)
}

// runbookBake runs a command of bake as the page has it. What comes after "|| true" may fail.
func (p *pair) runbookBake(t *testing.T, line string) {
	t.Helper()
	command, mayFail := strings.CutSuffix(line, " || true")
	args := strings.Fields(strings.Replace(command, "lb.yaml", p.bake.Spec, 1))[1:]
	if args[0] == "rollout" || args[0] == "rollback" {
		args = append(args, "--yes")
	}
	if out, code := p.run(t, args...); code != 0 && !mayFail {
		t.Errorf("%s: exit status %d\n%s", line, code, out)
	}
}
