package rollout

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/test/cluster"
)

// scenario is what happens to the pair while clients send requests. Each begins with a healthy pair and ends with one.
type scenario struct {
	name string
	test func(t *testing.T, p *pair)
	// moves is how often the VIP may move, always on purpose. Each move may break the request of each client that is in progress.
	moves int
	// gap is how long the VIP may have no holder, and clients no answers; 0: not at all.
	gap time.Duration
	// inWide puts it into the wide tier, and says which other scenario shows most of it.
	inWide string
	aside  bool // the commands of a page: the VIP may move as the page says, and the results are no row of docs/faults.md
}

// granularity is how late the test may learn that an address was added or removed, because it shares two processors with
// both nodes.
const granularity = 25 * time.Millisecond

// play plays a scenario, and checks what clients with new and with kept-alive connections lost, and that the VIP always had one
// holder.
func (p *pair) play(t *testing.T, s scenario) {
	p.holder, p.other = p.Settle(t)
	p.before, p.said, p.end = p.one(t, converged), "", ""
	if err := os.RemoveAll(p.bake.Spec + ".revision"); err != nil { // each scenario begins with a spec that is not based on a revision
		t.Fatal(err)
	}
	began := time.Now()
	urls := p.Family.URLs(cluster.VIP, cluster.PairPort, "/")
	fresh := p.Client.WatchFresh(t.Context(), urls[len(urls)-1], interval, patience)
	kept := p.Client.WatchKeptAlive(t.Context(), urls[len(urls)-1], interval, patience, turns)
	s.test(t, p)
	r := result{name: s.name, fresh: cluster.LossOf(fresh.Stop()), kept: cluster.LossOf(kept.Stop()),
		moves: cluster.MovesOf(p.Holders, began, p.holder.Name), said: p.said, end: p.end}
	t.Logf("%s: fresh %v; kept alive %v; %v; bake: %s; %s; took %v", s.name, r.fresh, r.kept, r.moves, r.said, r.end, time.Since(began).Round(100*time.Millisecond))
	if r.moves.Both > granularity {
		t.Errorf("both nodes held the VIP for %v: %v", r.moves.Both, p.Holders.Spans())
	}
	if s.aside {
		return
	}
	for _, l := range []cluster.Loss{r.fresh, r.kept} {
		if l.Lost > s.moves && s.gap == 0 {
			t.Errorf("%d of %d requests were lost, want at most %d, the last: %v", l.Lost, l.Asked, s.moves, l.Last)
		}
	}
	if r.moves.Count > s.moves || r.moves.None > max(granularity, s.gap) {
		t.Errorf("the VIP %v: may move %d times: %v", r.moves, s.moves, p.Holders.Spans())
	}
	if !t.Failed() {
		p.results = append(p.results, r)
	}
}

// detail is what differs between runs in a line of bake.
var detail = regexp.MustCompile(`revision \d+( \([0-9a-f]{12}\))?`)

// heard keeps the last line that bake printed.
func (p *pair) heard(out string) {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	p.said = detail.ReplaceAllString(strings.TrimPrefix(lines[len(lines)-1], "bake: "), "the revision")
}

// specName is the name of a host in the spec.
func specName(h *lab.Host) string { return strings.ReplaceAll(h.Name, "-", "_") }

// onlyIPv4 skips a scenario whose files have IPv4 addresses.
func (p *pair) onlyIPv4(t *testing.T) {
	t.Helper()
	if p.Family != cluster.IPv4 {
		t.Skip("its files have IPv4 addresses")
	}
}

// move moves the VIP to the node that did not hold it at the beginning.
func (p *pair) move(t *testing.T) {
	t.Helper()
	for _, word := range []string{"on", "off"} {
		if out, err := p.holder.Must(t.Context(), "ha-agent", "maintenance", word); err != nil {
			t.Errorf("%v %s", err, out)
		}
	}
	if now, _ := p.Settle(t); now != p.other {
		t.Errorf("the VIP did not move to %s", p.other.Name)
	}
}

// when runs a rollout, and calls f as soon as bake prints a line with a text. It returns what was printed, and how bake ended.
func (p *pair) when(t *testing.T, text string, f func(bake *exec.Cmd)) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := p.command(ctx, "rollout", p.bake.Spec, "--yes")
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	done, read := false, make(chan bool)
	go func() {
		defer close(read)
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			fmt.Fprintln(&out, lines.Text())
			if !done && strings.Contains(lines.Text(), text) {
				done = true
				f(cmd)
			}
		}
	}()
	err := cmd.Wait()
	w.Close()
	<-read
	t.Logf("bake rollout, disturbed at %q: %v\n%s", text, err, out.String())
	if !done {
		t.Errorf("bake has not printed %q", text)
	}
	p.heard(out.String())
	return out.String(), err
}

// killedAt runs a rollout, and kills bake as soon as it prints a line with a text.
func (p *pair) killedAt(t *testing.T, text string) {
	t.Helper()
	_, err := p.when(t, text, func(bake *exec.Cmd) { _ = bake.Process.Kill() })
	if err == nil {
		t.Errorf("bake was not killed: %v", err)
	}
	p.said = "nothing: it was killed"
	// What bake has asked for last is still done.
	for _, h := range p.hosts() {
		eventually.Nil(t, time.Minute, func() error {
			if out, status, err := h.Run(t.Context(), "pgrep", "-f", "revision serv[e]"); err != nil || status == 0 {
				return fmt.Errorf("%s still answers bake: %w %s", h.Name, err, out)
			}
			return nil
		})
	}
}
