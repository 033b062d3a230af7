package rollout

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/internal/version"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

// scenarios are what happens to one pair, one after the other. Each also works by itself.
var scenarios = []scenario{
	{name: "the first rollout, to nodes whose agent does not know rollouts", test: firstContact},
	{name: "a server is added, by a key that may do nothing else", test: serverAdded},
	{name: "one VIP more, with a certificate, a map and the firewall, and back", test: wide},
	{name: "a certificate is renewed", test: renewed},
	{name: "one address more for the VIP", test: addressAdded, inWide: "another adds a VIP"},
	{name: "another virtual router ID, with which the nodes do not hear each other, and back with a restart of haproxy", test: parted, moves: 1, gap: 10 * time.Second},
	{name: "a unit's drop-in, for which haproxy is restarted", test: restarted, moves: 1},
	{name: "a haproxy.cfg of one's own, for which haproxy is restarted, and back", test: ownConfig, moves: 2},
	{name: "updates of haproxy and keepalived, by `--packages`", test: packagesUpgraded, moves: 1},
	{name: "a server is drained; then one node is booted anew, and the VIP moves to it", test: serversSet, moves: 1},
	{name: "valid and wrong: no server answers", test: validAndWrong},
	{name: "valid and wrong: the node does not become healthy", test: notHealthy},
	{name: "one node refuses it", test: refusedAtStaging},
	{name: "the disk of one node is full", test: diskFull, inWide: "the next one fills it while a change is staged"},
	{name: "the disk of one node fills up when it is staged", test: diskFills},
	{name: "two at once", test: twoAtOnce},
	{name: "based on an old revision", test: oldBase},
	{name: "edited by hand meanwhile", test: edited},
	{name: "rolled back", test: rollback},
	{name: "bake killed before anything is staged", test: killedEarly("controller_1 runs revision "), inWide: "later ones kill it between the nodes, and on trial"},
	{name: "bake killed when one node is staged", test: killedEarly("controller_1: staged"), inWide: "later ones kill it between the nodes, and on trial"},
	{name: "bake killed between the nodes", test: killedEarly(": on trial")},
	{name: "bake killed when all are on trial", test: killedOnTrial},
	{name: "bake killed when one node is confirmed", test: killedWhenConfirmed},
	{name: "bake killed, and only one node has got the confirmation", test: confirmedOnOne},
	{name: "one node loses its power while the other applies it", test: nodeDies},
	{name: "bake killed when all are on trial, and one node lost for good", test: nodeLost, inWide: "the one before it loses a node for a while"},
	{name: "the commands of docs/rollout.md", test: documented, aside: true},
	{name: "the commands of docs/runbook.md", test: runbook, aside: true},
}

// TestRollout rolls changes out to one pair.
func TestRollout(t *testing.T) {
	p := boot(t, cluster.Releases(t, "noble")[0])
	for _, s := range scenarios {
		if !t.Run(s.name, func(t *testing.T) {
			if s.inWide != "" {
				needs.InWide(t, s.inWide)
			}
			p.play(t, s)
		}) {
			p.logs(t)
		}
		p.page(t)
	}
}

// server is an additional server of the service.
func server(number int) string { return fmt.Sprintf("more_%d, address: 192.168.56.%d", number, number) }

// has returns how many nodes have a text in their haproxy.cfg.
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
	began := time.Now()
	ref := p.one(t, converged)
	if ref.Number != number {
		t.Errorf("the nodes run %v, want revision %d", ref, number)
	}
	p.end = "both run the new revision"
	if ref == p.before {
		p.end = "both run the old revision"
	}
	if took := time.Since(began); took > 3*time.Second {
		p.end += fmt.Sprintf(", after %.0f s", took.Seconds())
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

// firstContact rolls out to nodes with an older package of the agent, which does not know rollouts and does not have its units. They
// have other units where older images had them.
func firstContact(t *testing.T, p *pair) {
	const script = repack + `cp /usr/bin/ha-agent /usr/lib/hapair/old-agent
systemctl disable --now hapair-revision.socket hapair-revision.service
repack ha-agent
rm $root/usr/lib/systemd/system/hapair-revision*
cat >$root/usr/bin/ha-agent
build 0.0.9 /run/old.deb
dpkg --force-confold -i /run/old.deb
for unit in haproxy keepalived; do
	mkdir -p /etc/systemd/system/$unit.service.d
	mv /usr/lib/systemd/system/$unit.service.d/hapair.conf /etc/systemd/system/$unit.service.d/
done
systemctl daemon-reload
systemctl restart ha-agent`
	for _, h := range p.hosts() {
		if err := cluster.Pipe(t.Context(), h, oldAgent, script); err != nil {
			t.Fatal(err)
		}
	}
	p.Settle(t)
	p.write(t, p.spec("", server(203)))
	p.rollout(t, 0)
	p.want(t, p.before.Number+1, "more_203", 2)
	p.compare(t)
	for _, h := range p.hosts() { // conffiles may differ
		out, err := h.Must(t.Context(), "sh", "-euc", `dpkg-query -W -f '${Version} ${Status}' ha-agent; dpkg --verify ha-agent | grep -v ' c ' || :`)
		if err != nil || out != version.Version+" install ok installed" {
			t.Errorf("dpkg's record of %s's agent is %q, %v", h.Name, out, err)
		}
	}
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
	p.rollout(t, 0)
	p.want(t, p.before.Number+1, "more_204", 2)
	if out := p.rollout(t, 0); !strings.Contains(out, "nothing to do") {
		t.Errorf("the same rollout again: %s", out)
	}
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
	p.want(t, p.before.Number, "5999", 0)
}

// notHealthy rolls out a command at each change of the VIP that fails: valid, and wrong.
func notHealthy(t *testing.T, p *pair) {
	p.write(t, []byte(strings.Replace(string(p.spec("", server(205))), "interface: eth4}", "interface: eth4, on_change: /bin/false}", 1)))
	out := p.rollout(t, 1, "--healthy", "15s")
	name := specName(p.other)
	if !strings.Contains(out, name+": FAILED") || strings.Count(out, "FAILED") != 1 {
		t.Errorf("not only the node without the VIP has tried it: %s", out)
	}
	p.want(t, p.before.Number, "more_205", 0)
}

func twoAtOnce(t *testing.T, p *pair) {
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
	p.want(t, p.before.Number+1, "more_208", 2)
}

// oldBase rolls out from a copy of the spec that is older than what the nodes run.
func oldBase(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(205)))
	p.rollout(t, 0)
	path := p.bake.Spec + ".revision"
	old := fmt.Sprintf(`{"cluster":"pair","number":%d,"id":"0000"}`, p.before.Number)
	if err := os.WriteFile(path, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	p.write(t, p.spec("", server(211)))
	if out := p.rollout(t, 1); !strings.Contains(out, filepath.Base(path)) {
		t.Errorf("the refusal does not name the file: %s", out)
	}
	p.want(t, p.before.Number+1, "more_211", 0)
}

// edited edits a file by hand, which is shown, and overwritten by the next rollout.
func edited(t *testing.T, p *pair) {
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
	p.want(t, p.before.Number, "by-hand", 1)
	p.rollout(t, 0)
	p.want(t, p.before.Number+1, "by-hand", 0)
}

func rollback(t *testing.T, p *pair) {
	p.write(t, p.spec("", server(208)))
	p.rollout(t, 0)
	before := p.one(t, converged)
	p.write(t, p.spec("", server(210)))
	p.rollout(t, 0)
	p.want(t, before.Number+1, "more_210", 2)
	if out, code := p.run(t, "rollback", p.bake.Spec, "--yes"); code != 0 {
		t.Errorf("exit status %d: %s", code, out)
	}
	p.want(t, before.Number+2, "more_210", 0)
	if p.has(t, "more_208") != 2 {
		t.Error("the nodes do not have the servers from before")
	}
}
