package rollout

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

// TestRollout rolls changes out to one pair, one after the other.
func TestRollout(t *testing.T) {
	p := boot(t, cluster.Releases(t, "noble")[0])
	for _, c := range []struct {
		name string
		test func(t *testing.T, p *pair)
	}{
		{"first contact", firstContact},
		{"a server is added", serverAdded},
		{"nothing to do", nothingToDo},
		{"refused when it is tested", refusedAtStaging},
		{"not healthy on the first node", notHealthy},
		{"bake killed before anything is staged", killedBeforeStaging},
		{"bake killed when one node is staged", killedWhenStaged},
		{"bake killed between the nodes", killedBetween},
		{"bake killed when all are on trial", killedOnTrial},
		{"bake killed when one node is confirmed", killedWhenConfirmed},
		{"only one node hears the confirmation", confirmedOnOne},
		{"two at once", twoAtOnce},
		{"based on an old revision", oldBase},
		{"edited by hand", edited},
		{"rollback", rollback},
		{"a unit's drop-in, which needs a restart", restarted},
		{"a VIP, TLS, files and the firewall", wide},
		{"a haproxy.cfg of one's own", ownConfig},
		{"the commands of docs/rollout.md", documented},
		{"valid and wrong", validAndWrong},
		{"a server is drained", serversSet},
		{"the runbook's commands", runbook},
		{"a node loses power on trial", powerCut},
	} {
		if !t.Run(c.name, func(t *testing.T) { c.test(t, p) }) {
			p.logs(t)
		}
	}
}

// server is an additional server of the service.
func server(number int) string { return fmt.Sprintf("more_%d, address: 192.168.56.%d", number, number) }

// has returns which nodes have a text in their haproxy.cfg.
func (p *pair) has(t *testing.T, text string) int {
	t.Helper()
	n := 0
	for _, h := range p.hosts() {
		if strings.Contains(file(t, h, wellknown.HAProxyConfig), text) {
			n++
		}
	}
	return n
}

// want checks which revision all nodes run, and how many have a text in their haproxy.cfg.
func (p *pair) want(t *testing.T, number int, text string, nodes int) {
	t.Helper()
	if ref := p.one(t, converged); ref.Number != number {
		t.Errorf("the nodes run %v, want revision %d", ref, number)
	}
	if n := p.has(t, text); n != nodes {
		t.Errorf("%d nodes have %q in haproxy.cfg, want %d", n, text, nodes)
	}
	for _, h := range p.hosts() {
		if s, err := cluster.Status(t.Context(), h); err != nil || !s.Healthy {
			t.Errorf("%s is not healthy: %v %q", h.Name, err, s.Problems)
		}
	}
}

// oldAgent takes the place of an agent that does not know rollouts.
const oldAgent = `#!/bin/sh
if [ "$1" = revision ]; then
	echo 'ha-agent: unknown command "revision"' >&2
	exit 2
fi
exec /usr/lib/hapair/old-agent "$@"
`

// firstContact rolls out to nodes whose agent does not know rollouts, which do not have its units, and have other units where
// older images had them.
func firstContact(t *testing.T, p *pair) {
	const script = `cp /usr/bin/ha-agent /usr/lib/hapair/old-agent
systemctl disable --now hapair-revision.socket hapair-revision.service
rm -f /usr/lib/systemd/system/hapair-revision*
for unit in haproxy keepalived; do
	mkdir -p /etc/systemd/system/$unit.service.d
	mv /usr/lib/systemd/system/$unit.service.d/hapair.conf /etc/systemd/system/$unit.service.d/
done
cat >/usr/bin/ha-agent.new
chmod 755 /usr/bin/ha-agent.new
mv /usr/bin/ha-agent.new /usr/bin/ha-agent
systemctl daemon-reload
systemctl restart ha-agent`
	for _, h := range p.hosts() {
		if err := cluster.Pipe(t.Context(), h, oldAgent, script); err != nil {
			t.Fatal(err)
		}
	}
	p.Settle(t)
	p.write(t, p.spec("", server(203)))
	holder, _ := p.Settle(t)
	p.serve(t, func() { p.rollout(t, 0) })
	p.want(t, 1, "192.168.56.203", 2)
	if now, _ := p.Settle(t); now != holder {
		t.Errorf("the VIP moved from %s to %s", holder.Name, now.Name)
	}
	p.compare(t)
}

// serverAdded rolls out with a key that is bound to the one command that a rollout needs.
func serverAdded(t *testing.T, p *pair) {
	for _, h := range p.hosts() {
		const script = `sed -i 's/^/restrict,command="sudo -n ha-agent revision serve" /' /home/ops/.ssh/authorized_keys`
		if _, err := h.Must(t.Context(), "sh", "-euc", script); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := h.Must(context.WithoutCancel(t.Context()), "sh", "-euc", `sed -i 's/^restrict.*serve" //' /home/ops/.ssh/authorized_keys`); err != nil {
				t.Error(err)
			}
		}()
	}
	p.write(t, p.spec("", server(203), server(204)))
	holder, _ := p.Settle(t)
	p.serve(t, func() { p.rollout(t, 0) })
	p.want(t, 2, "192.168.56.204", 2)
	if now, _ := p.Settle(t); now != holder {
		t.Errorf("the VIP moved from %s to %s", holder.Name, now.Name)
	}
}

func nothingToDo(t *testing.T, p *pair) {
	if out := p.rollout(t, 0); !strings.Contains(out, "nothing to do") {
		t.Errorf("the same rollout again: %s", out)
	}
	p.want(t, 2, "192.168.56.204", 2)
}

// refusedAtStaging takes a port on one node for which the new revision has a service.
func refusedAtStaging(t *testing.T, p *pair) {
	h := p.hosts()[1]
	if _, err := h.Must(t.Context(), "systemd-run", "--unit=taker", "socat", "TCP-LISTEN:5999,fork,reuseaddr", "EXEC:true"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := h.Must(context.WithoutCancel(t.Context()), "systemctl", "stop", "taker"); err != nil {
			t.Error(err)
		}
	}()
	p.write(t, []byte(strings.Replace(string(p.spec("")), "port: 5000", "port: 5999", 1)))
	out := p.rollout(t, 1)
	if !strings.Contains(out, "controller_2: refused") || !strings.Contains(out, "nothing was rolled out") {
		t.Errorf("a node whose port is taken does not refuse: %s", out)
	}
	p.want(t, 2, "5999", 0)
}

// notHealthy rolls out a command at each change of the VIP that fails: valid, and wrong.
func notHealthy(t *testing.T, p *pair) {
	p.write(t, []byte(strings.Replace(string(p.spec("", server(205))), "interface: eth4}", "interface: eth4, on_change: /bin/false}", 1)))
	_, other := p.Settle(t)
	p.serve(t, func() {
		out := p.rollout(t, 1, "--healthy", "15s")
		name := strings.ReplaceAll(other.Name, "-", "_")
		if !strings.Contains(out, name+": FAILED") || strings.Count(out, "FAILED") != 1 {
			t.Errorf("not only the node without the VIP has tried it: %s", out)
		}
	})
	p.want(t, 2, "192.168.56.205", 0)
}

func killedBeforeStaging(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(206)))
	p.killedAt(t, "controller_1 runs revision 2")
	p.want(t, 2, "192.168.56.206", 0)
}

func killedWhenStaged(t *testing.T, p *pair) {
	p.killedAt(t, "controller_1: staged")
	p.want(t, 2, "192.168.56.206", 0)
}

func killedBetween(t *testing.T, p *pair) {
	p.serve(t, func() {
		p.killedAt(t, ": on trial")
		p.want(t, 2, "192.168.56.206", 0)
	})
}

// killedOnTrial kills bake when it is about to confirm: the nodes may come to either end, but to the same one.
func killedOnTrial(t *testing.T, p *pair) {
	holder, _ := p.Settle(t)
	p.serve(t, func() {
		p.killedAt(t, strings.ReplaceAll(holder.Name, "-", "_")+": on trial") // the second
		if ref := p.one(t, converged); ref.Number == 2 {
			p.want(t, 2, "192.168.56.206", 0)
		} else {
			p.want(t, 3, "192.168.56.206", 2)
		}
	})
}

// killedWhenConfirmed kills bake when one node is confirmed: the other one must follow.
func killedWhenConfirmed(t *testing.T, p *pair) {
	before := p.one(t, converged)
	p.write(t, p.spec("", server(207)))
	if err := os.RemoveAll(p.bake.Spec + ".revision"); err != nil { // the one that was killed may have been confirmed
		t.Fatal(err)
	}
	p.serve(t, func() {
		p.killedAt(t, ": confirmed")
		p.want(t, before.Number+1, "192.168.56.207", 2)
	})
}

// confirmedOnOne kills bake before it confirms, and confirms one node: the other one must learn of it from that node.
func confirmedOnOne(t *testing.T, p *pair) {
	before := p.one(t, converged)
	if err := os.RemoveAll(p.bake.Spec + ".revision"); err != nil {
		t.Fatal(err)
	}
	p.write(t, p.spec("", server(209)))
	holder, other := p.Settle(t)
	p.serve(t, func() {
		p.killedAt(t, strings.ReplaceAll(holder.Name, "-", "_")+": take over haproxy")
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
		if err := cluster.Pipe(t.Context(), other, fmt.Sprintf(`{"op":"commit","id":%q}`+"\n", id), "ha-agent revision serve"); err != nil {
			t.Fatal(err)
		}
		p.want(t, before.Number+1, "192.168.56.209", 2)
	})
}

func twoAtOnce(t *testing.T, p *pair) {
	before := p.one(t, converged)
	if err := os.RemoveAll(p.bake.Spec + ".revision"); err != nil {
		t.Fatal(err)
	}
	p.write(t, p.spec("", server(208)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var codes []int
	ended := make(chan int)
	for range 2 {
		cmd := p.command(ctx, "rollout", p.bake.Spec, "--yes")
		go func() {
			out, _ := cmd.CombinedOutput()
			t.Logf("exit status %d\n%s", cmd.ProcessState.ExitCode(), out)
			ended <- cmd.ProcessState.ExitCode()
		}()
	}
	codes = append(codes, <-ended, <-ended)
	if codes[0]+codes[1] == 0 || codes[0] != 0 && codes[1] != 0 {
		t.Errorf("two rollouts at once have exit statuses %d, want 0 for exactly one", codes)
	}
	p.want(t, before.Number+1, "192.168.56.208", 2)
}

// oldBase rolls out from a copy of the spec that is older than what the nodes run.
func oldBase(t *testing.T, p *pair) {
	before := p.one(t, converged)
	path := p.bake.Spec + ".revision"
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old := fmt.Sprintf(`{"cluster":"pair","number":%d,"id":"0000"}`, before.Number-1)
	if err := os.WriteFile(path, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	p.write(t, p.spec("", server(211)))
	if out := p.rollout(t, 1); !strings.Contains(out, filepath.Base(path)) {
		t.Errorf("the refusal does not name the file: %s", out)
	}
	p.want(t, before.Number, "192.168.56.211", 0)
	if err := os.WriteFile(path, now, 0o644); err != nil {
		t.Fatal(err)
	}
}

// edited edits a file by hand, which is shown, and overwritten by the next rollout.
func edited(t *testing.T, p *pair) {
	before := p.one(t, converged)
	h := p.hosts()[0]
	if err := cluster.ByRename().Save(t.Context(), h, wellknown.HAProxyConfig, cluster.Marked(file(t, h, wellknown.HAProxyConfig), "by-hand")); err != nil {
		t.Fatal(err)
	}
	eventually.Nil(t, converged, func() error {
		s, err := cluster.Status(t.Context(), h)
		if err != nil {
			return err
		}
		if s.Revision == nil || len(s.Revision.Drift) != 1 || !s.Healthy {
			return fmt.Errorf("the status is %+v, %q", s.Revision, s.Problems)
		}
		return nil
	})
	p.write(t, p.spec("", server(208)))
	out := p.rollout(t, 0, "--dry-run")
	if !strings.Contains(out, "DRIFT    "+wellknown.HAProxyConfig) {
		t.Errorf("the plan does not show the edit: %s", out)
	}
	p.want(t, before.Number, "by-hand", 1)
	p.serve(t, func() { p.rollout(t, 0) })
	p.want(t, before.Number+1, "by-hand", 0)
}

func rollback(t *testing.T, p *pair) {
	before := p.one(t, converged)
	p.write(t, p.spec("", server(210)))
	p.rollout(t, 0)
	p.want(t, before.Number+1, "192.168.56.210", 2)
	p.serve(t, func() {
		if out, code := p.run(t, "rollback", p.bake.Spec, "--yes"); code != 0 {
			t.Errorf("exit status %d: %s", code, out)
		}
	})
	p.want(t, before.Number+2, "192.168.56.210", 0)
	if p.has(t, "192.168.56.208") != 2 {
		t.Error("the nodes do not have the servers from before")
	}
}

// powerCut cuts the power of the first node while it is on trial, and kills bake. When the node is back, both come to the same
// end.
func powerCut(t *testing.T, p *pair) {
	before := p.one(t, converged)
	p.write(t, p.spec("", server(211)))
	_, first := p.Settle(t)
	p.killedAt(t, strings.ReplaceAll(first.Name, "-", "_")+": on trial")
	first.Kill()
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.WaitRunning(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.want(t, before.Number, "192.168.56.211", 0)
}

// restarted rolls out what needs a restart of haproxy: each node hands the VIP over before.
func restarted(t *testing.T, p *pair) {
	before := p.one(t, converged)
	const dropIn = "/usr/lib/systemd/system/haproxy.service.d/hapair.conf"
	for _, h := range p.hosts() {
		if err := cluster.Pipe(t.Context(), h, "\n# edited\n", `cat >>"$1"`, dropIn); err != nil {
			t.Fatal(err)
		}
	}
	p.write(t, p.spec("", server(208)))
	p.serveLosing(t, 2, func() { // each handover may break the request of each client that is in progress
		if out := p.rollout(t, 0); !strings.Contains(out, "restart haproxy.service") {
			t.Errorf("haproxy was not restarted: %s", out)
		}
	})
	p.want(t, before.Number+1, "# edited", 0)
	for _, h := range p.hosts() {
		if strings.Contains(file(t, h, dropIn), "# edited") {
			t.Errorf("%s has the edited drop-in", h.Name)
		}
		if out, err := h.Must(t.Context(), "systemctl", "show", "-P", "NeedDaemonReload", "haproxy"); err != nil || strings.TrimSpace(out) != "no" {
			t.Errorf("%s: systemd has not read the drop-in: %v %s", h.Name, err, out)
		}
	}
}

// wide rolls out a VIP, a service with TLS, a certificate, a map and the firewall at once, compares the nodes with the spec, and
// goes back.
func wide(t *testing.T, p *pair) {
	before := p.one(t, converged)
	cert, key := certificate(t)
	for name, data := range map[string][]byte{"site.pem": append(cert, key...), "hosts.map": []byte("a.example web\n")} {
		if err := os.WriteFile(filepath.Join(p.bake.Dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spec := strings.Replace(string(p.spec("firewall: true\nfiles:\n"+
		"  - {path: /etc/haproxy/site.pem, from: site.pem, mode: \"0640\"}\n"+
		"  - {path: /etc/haproxy/maps/hosts.map, from: hosts.map}\n", server(208))),
		"services:\n", "  - {name: second, address: 192.168.1.33/24, interface: eth4}\nservices:\n"+
			"  - name: secure\n    vip: second\n    port: 443\n    mode: http\n    tls: {certificates: [/etc/haproxy/site.pem]}\n"+
			"    check: {http: GET /, expect: 200}\n    servers:\n      - {name: web_1, address: 192.168.56.201, port: 5000}\n"+
			"    lines: {frontend: \"http-request set-header X-Known %[req.hdr(host),map(/etc/haproxy/maps/hosts.map,no)]\"}\n", 1)
	p.write(t, []byte(spec))
	p.serve(t, func() { p.rollout(t, 0) })
	p.want(t, before.Number+1, "/etc/haproxy/site.pem", 2)
	p.compare(t)
	if subject := p.handshake(t, "192.168.1.33:443"); subject != "site.example" {
		t.Errorf("the new VIP shows a certificate of %q", subject)
	}
	p.serve(t, func() {
		if out, code := p.run(t, "rollback", p.bake.Spec, "--yes"); code != 0 {
			t.Errorf("exit status %d: %s", code, out)
		}
	})
	p.want(t, before.Number+2, "/etc/haproxy/site.pem", 0)
	p.write(t, p.spec("", server(208)))
	p.compare(t)
	for _, h := range p.hosts() {
		out, _, _ := h.Run(t.Context(), "sh", "-c", "ls /etc/haproxy/site.pem /etc/haproxy/maps/hosts.map /etc/nftables.d/hapair.nft; nft list table inet hapair; systemctl is-enabled hapair-firewall")
		if strings.Contains(out, "chain") || strings.Contains(out, "enabled") {
			t.Errorf("%s still has what was rolled back:\n%s", h.Name, out)
		}
	}
}

// documented runs the commands of docs/rollout.md: those of bake in blocks of "sh rollout", and those of a node in "sh node".
func documented(t *testing.T, p *pair) {
	page, err := os.ReadFile("../../docs/rollout.md")
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, p.spec("", server(212)))
	where, ran := "", 0
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if kind, fence := strings.CutPrefix(line, "```"); fence {
			where = kind
			continue
		}
		switch {
		case where == "sh rollout":
			args := strings.Fields(strings.Replace(line, "lb.yaml", p.bake.Spec, 1))
			if out, code := p.run(t, append(args[1:], "--yes")...); code != 0 {
				t.Errorf("%s: exit status %d\n%s", line, code, out)
			}
		case where == "sh node":
			if out, err := p.hosts()[0].Must(t.Context(), "sh", "-c", line); err != nil || !strings.Contains(out, "revision ") {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		case where != "":
			t.Errorf("no test runs the block of %q: %s", where, line)
		default:
			continue
		}
		ran++
	}
	if ran < 4 {
		t.Errorf("%d commands were run", ran)
	}
}

// ownConfig rolls out a haproxy.cfg of the operator's own, with which haproxy takes other arguments, and goes back.
func ownConfig(t *testing.T, p *pair) {
	before := p.one(t, converged)
	own := "global\n    maxconn 100\n    log /dev/log local0\ndefaults\n    mode http\n    log global\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n" +
		"frontend own\n    bind 192.168.1.32:5000\n    default_backend web\nbackend web\n    server web_1 192.168.56.201:5000 check\n"
	if err := os.WriteFile(filepath.Join(p.bake.Dir, "own.cfg"), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	spec, _, _ := strings.Cut(string(p.spec("")), "services:\n")
	p.write(t, []byte(spec+"haproxy: {config: own.cfg}\n"+p.access()))
	p.serveLosing(t, 2, func() { p.rollout(t, 0) })
	p.want(t, before.Number+1, "frontend own", 2)
	p.compare(t)
	p.serveLosing(t, 2, func() {
		if out, code := p.run(t, "rollback", p.bake.Spec, "--yes"); code != 0 {
			t.Errorf("exit status %d: %s", code, out)
		}
	})
	p.want(t, before.Number+2, "frontend own", 0)
}
