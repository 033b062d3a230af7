package drill

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/test/cluster"
)

// drillLog records what a drill prints and shows.
type drillLog struct {
	mu    sync.Mutex
	lines []string
	live  []string // the reasons shown, one string for each call
}

func (l *drillLog) tell(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *drillLog) show(now Live) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if why := strings.Join(now.Why, "; "); why != "" {
		l.live = append(l.live, why)
	}
}

func (l *drillLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

func (l *drillLog) shown() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.live, "\n")
}

// TestDrillFindsWhatDoesNotRun drills a pair in which a program does not work although its VIP is served. The verdict must
// name the problem each time.
func TestDrillFindsWhatDoesNotRun(t *testing.T) {
	text, ok := examples.Get("bare-metal")
	if !ok {
		t.Fatal("there is no example bare-metal")
	}
	b := cluster.Build(t, text)
	image, seeds := filepath.Join(b.Dir, "golden.raw"), filepath.Join(b.Dir, "seeds")
	b.Run(t, "image", b.Spec, "--release", "noble", "--format", "raw", "-o", image)
	b.Run(t, "cloud-init", b.Spec, "--release", "noble", "-o", seeds)
	s := parse(t, string(text))
	var log drillLog
	o := Options{Spec: s, Image: image, Release: "noble", Tell: log.tell, Live: log.show, Seeds: map[string]string{},
		limits: usualLimits()}
	for _, n := range s.Nodes {
		o.Seeds[n.Name] = filepath.Join(seeds, n.Name, "seed.iso")
	}
	c, err := Boot(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	d := &labDrill{c, &log}
	t.Run("a pair that works", d.works)
	// From here on, conditions do not become true, so the limits are short.
	c.limits = limits{served: 8 * time.Second, settle: 6 * time.Second, health: 4 * time.Second}
	t.Run("an agent that restarts forever", d.agentRestarts)
	t.Run("an agent that does not run", d.agentDead)
	t.Run("no haproxy on any node", d.noHAProxy)
}

type labDrill struct {
	*Cluster
	log *drillLog
}

// on runs a script on every node.
func (d *labDrill) on(t *testing.T, script string) {
	t.Helper()
	for _, h := range d.hosts {
		if _, err := h.Must(t.Context(), "sh", "-euc", script); err != nil {
			t.Fatal(err)
		}
	}
}

// calm waits until the pair is healthy again.
func (d *labDrill) calm(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := poll.Nil(ctx, 200*time.Millisecond, func() error {
		if err := d.settle(ctx); err != nil {
			return err
		}
		if found := d.checkHealth(ctx, drilled{}, ""); len(found) > 0 {
			return errors.New(strings.Join(found, "\n"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// strike drills a fault. The problems in the report must contain each of the texts.
func (d *labDrill) strike(t *testing.T, name string, want ...string) *Report {
	t.Helper()
	r, err := d.Run(t.Context(), Faults{Names: []string{name}})
	if r == nil {
		t.Fatal(err)
	}
	problems := strings.Join(r.Problems, "\n")
	for _, f := range r.Faults {
		for _, run := range f.Runs {
			problems += "\n" + strings.Join(run.Problems, "\n")
		}
	}
	if err != nil {
		problems += "\n" + err.Error()
	}
	t.Logf("%s: %s: %v: %s", name, r.Verdict(), err, strings.TrimSpace(problems))
	if good := len(want) == 0; r.Good != good || len(r.Faults) != 1 || r.Faults[0].Good != good {
		t.Errorf("Good = %v with %d faults, want %v", r.Good, len(r.Faults), good)
	}
	for _, text := range want {
		if !strings.Contains(problems, text) {
			t.Errorf("%q is not among the problems", text)
		}
	}
	return r
}

func (d *labDrill) works(t *testing.T) {
	r := d.strike(t, "haproxy-kill")
	if run := r.Faults[0].Runs[0]; run.By != byTrackFile || run.TrackFile <= 0 {
		t.Errorf("the node reacted by its %q after %v ms", run.By, run.TrackFile)
	}
}

// An agent that crashes and is restarted answers most of the time, and its pair serves.
func (d *labDrill) agentRestarts(t *testing.T) {
	d.on(t, "systemd-run --quiet --unit=crash sh -c 'while :; do systemctl kill --signal=SEGV ha-agent.service; sleep 2; done'")
	d.strike(t, "haproxy-kill", "systemd has restarted ha-agent on lb1", "systemd has restarted ha-agent on lb2", "Sent signal SIGSEGV to main process")
	d.on(t, "systemctl stop crash.service")
	d.calm(t)
}

// Without an agent, only the track_script remains: the VIP of a haproxy that hangs moves, but too late. This uses
// haproxy-stop, because a killed haproxy may be running again before the track_script has failed twice.
func (d *labDrill) agentDead(t *testing.T) {
	d.on(t, "systemctl mask --runtime --now ha-agent.service")
	r := d.strike(t, "haproxy-stop", "ha-agent on lb1 is inactive (dead)", "ha-agent on lb2 does not answer", "because its track_script failed", "it did not settle: ha-agent does not run on lb")
	if by := r.Faults[0].Runs[0].By; by != byTrackScript {
		t.Errorf("the node reacted by its %q", by)
	}
	d.on(t, "systemctl unmask --runtime ha-agent.service && systemctl start ha-agent.service")
	d.calm(t)
}

// If no node can serve a VIP, the drill must end with a verdict that names the cause.
func (d *labDrill) noHAProxy(t *testing.T) {
	holder := d.targets[0].holders.Now()
	d.on(t, "systemctl mask --runtime haproxy.service")
	for _, h := range d.hosts {
		if h.Name != holder[0] {
			if _, err := h.Must(t.Context(), "systemctl", "stop", "haproxy.service"); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := d.strike(t, "haproxy-kill", "not served within 8s: www is not served", "haproxy does not answer on "+holder[0])
	if r.Ended == "" || !strings.Contains(r.Ended, "fault 1 of 1, haproxy-kill") {
		t.Errorf("the report's end is %q", r.Ended)
	}
	if want := "haproxy does not answer on " + holder[0]; !strings.Contains(d.log.shown(), want) {
		t.Errorf("the live lines do not contain %q:\n%s", want, d.log.shown())
	}
}
