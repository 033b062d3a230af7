package rollout

import (
	"os"
	"strings"
	"testing"
)

// validAndWrong gives all servers a port on which nothing listens: the spec is valid, and no server passes its check.
func validAndWrong(t *testing.T, p *pair) {
	good := p.spec("", server(203), server(204))
	p.write(t, good)
	p.rollout(t, 0, "--rebase")
	before := p.one(t, converged)
	_, other := p.Settle(t)
	wrong := strings.NewReplacer("192.168.56.201}", "192.168.56.201, port: 5999}", "192.168.56.202}", "192.168.56.202, port: 5999}",
		"192.168.56.203}", "192.168.56.203, port: 5999}", "192.168.56.204}", "192.168.56.204, port: 5999}").Replace(string(good))
	p.write(t, []byte(wrong))
	p.serve(t, func() {
		out := p.rollout(t, 1)
		name := strings.ReplaceAll(other.Name, "-", "_")
		if !strings.Contains(out, name+": FAILED") || strings.Count(out, "FAILED") != 1 || !strings.Contains(out, `backend "web" had a server up before this change, and has none now`) {
			t.Errorf("not only the node without the VIP has tried it, or for another reason: %s", out)
		}
	})
	p.want(t, before.Number, ":5999", 0)
	p.write(t, good)
	p.compare(t)
}

// serversSet takes a server out on all nodes. It stays out when the VIP moves, and when haproxy is restarted.
func serversSet(t *testing.T, p *pair) {
	if out, code := p.run(t, "server", "drain", "web/web_1", p.bake.Spec); code != 0 {
		t.Fatalf("exit status %d: %s", code, out)
	}
	holder, other := p.Settle(t)
	const drained = `echo "show stat web 4 -1" | socat - /run/haproxy/admin.sock | grep ^web,web_1, | cut -d, -f18 | grep -x DRAIN`
	p.serveLosing(t, 1, func() { // haproxy of the node without the VIP is restarted, and then the VIP moves to it
		for _, command := range []string{"systemctl restart haproxy", "until " + drained + "; do sleep 0.1; done"} {
			if _, err := other.Must(t.Context(), "sh", "-c", command); err != nil {
				t.Error(err)
			}
		}
	})
	for _, h := range p.hosts() {
		if out, err := h.Must(t.Context(), "sh", "-c", drained); err != nil {
			t.Errorf("%s: %v %s", h.Name, err, out)
		}
	}
	if now, _ := p.Settle(t); now != holder {
		t.Errorf("the VIP moved from %s to %s", holder.Name, now.Name)
	}
	if out, code := p.run(t, "server", "ready", "web/web_1", p.bake.Spec); code != 0 {
		t.Errorf("exit status %d: %s", code, out)
	}
}

// runbook runs the commands of docs/runbook.md: those of bake in blocks of "sh bake", and those of a node in "sh node".
func runbook(t *testing.T, p *pair) {
	page, err := os.ReadFile("../../docs/runbook.md")
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
		switch where {
		case "sh bake":
			p.runbookBake(t, line)
		case "sh node":
			if out, err := p.hosts()[1].Must(t.Context(), "sh", "-c", line); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		case "":
			continue
		default:
			t.Errorf("no test runs the block of %q: %s", where, line)
		}
		ran++
	}
	if ran < 15 {
		t.Errorf("%d commands were run", ran)
	}
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
