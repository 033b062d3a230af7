package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/spec"
)

// Faults selects the faults and sets the limits.
type Faults struct {
	Names  []string      // in order; none means all
	Repeat int           // how often each strikes each holder of a VIP
	MaxGap time.Duration // the longest time for which a client may get no answer; 0 means no limit
}

const lead = 500 * time.Millisecond // how much of the time before the strike a timeline shows

// Run runs the faults. An error means that the drill could not continue; the report contains the results up to then.
func (c *Cluster) Run(ctx context.Context, o Faults) (*Report, error) {
	list, err := c.chosen(o.Names)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	r := c.newReport(ctx, o, began)
	defer func() {
		r.Took = time.Since(began).Round(time.Second).String()
		r.Machine = machine()
		c.live.now("", "")
	}()
	r.Problems = append(c.checkHealth(ctx, drilled{}, ""), c.askAll(ctx)...)
	for _, p := range r.Problems {
		c.Tell("NOT OK: " + p)
	}
	for i, f := range list {
		var runs []Run
		for range max(1, o.Repeat) {
			more, err := c.round(ctx, f, fmt.Sprintf("%s, %d of %d", f.Name, i+1, len(list)), o)
			runs = append(runs, more...)
			if err != nil {
				r.add(f, runs)
				r.Ended = fmt.Sprintf("the drill ended at fault %d of %d, %s: %s", i+1, len(list), f.Name, ending(err))
				r.judge()
				return r, err
			}
		}
		r.add(f, runs)
	}
	r.judge()
	return r, nil
}

func ending(err error) string {
	if errors.Is(err, context.Canceled) {
		return "it was interrupted"
	}
	return strings.TrimSpace(err.Error())
}

func (r *Report) add(f drilled, runs []Run) {
	if len(runs) > 0 {
		r.Faults = append(r.Faults, summarize(f, runs))
	}
}

// judge sets the verdict: all is good if every fault was run without a problem, and every VIP was tested by a client.
func (r *Report) judge() {
	r.Good = len(r.Faults) > 0 && len(r.Problems) == 0 && r.Ended == "" && len(r.NotAsked()) == 0
	for _, f := range r.Faults {
		r.Good = r.Good && f.Good
	}
}

// round strikes the holder of each VIP once. A node that holds several VIPs is struck once for all of them.
func (c *Cluster) round(ctx context.Context, f drilled, doing string, o Faults) (runs []Run, err error) {
	covered := map[string]bool{}
	for _, t := range c.targets {
		if covered[t.name] {
			continue
		}
		holders := t.holders.Now()
		if len(holders) == 0 {
			return runs, fmt.Errorf("cannot strike the holder of %s: no node holds it", t.name)
		}
		run, err := c.try(ctx, f, c.host(holders[0]), doing, o)
		for _, v := range run.VIPs {
			covered[v.Name] = covered[v.Name] || v.Struck
		}
		if ctx.Err() != nil {
			return runs, ctx.Err()
		}
		runs = append(runs, run)
		c.Tell(told(f, run))
		if err != nil {
			return runs, fmt.Errorf("cannot continue after %s: %w", f.Name, err)
		}
		covered[t.name] = true
	}
	return runs, nil
}

// try strikes once. An error means that the cluster did not return to its previous state.
func (c *Cluster) try(ctx context.Context, f drilled, h *lab.Host, doing string, o Faults) (Run, error) {
	w := window{from: time.Now()}
	c.live.now(doing, "")
	for _, t := range c.targets {
		if t.watch != nil {
			t.watch.forget(w.from.Add(-time.Second))
		}
	}
	pause(ctx, lead)
	run := Run{Struck: h.Name, VIPs: c.before(h)}
	c.live.now(doing+": "+f.Title, h.Name)
	var track *trackWatch
	if f.tracked {
		var err error
		if track, err = watchTrack(h); err != nil {
			run.problem(err)
		}
	}
	w.strike = time.Now()
	run.problem(f.Strike(ctx, h))
	if f.lasts > 0 {
		pause(ctx, time.Until(w.strike.Add(f.lasts)))
	}
	served := c.waitServed(ctx, w.strike, f.parted)
	run.Never = served != nil
	run.problem(served)
	if fault := track.stop(); f.tracked {
		c.react(ctx, &run, h, w.strike, fault)
	}
	run.Served = w.at(time.Now().Add(-servedFor))
	run.Repaired = w.at(time.Now())
	c.live.now(doing+": repair", "")
	repairing, cancel := context.WithTimeout(ctx, c.limits.settle)
	defer cancel()
	run.problem(f.Repair(repairing, h))
	err := c.settle(ctx)
	if err != nil && c.byHand() {
		run.problem(fmt.Errorf("it did not recover by itself: %w", err))
		err = c.restartByHand(ctx)
	}
	w.to = time.Now()
	run.Problems = append(run.Problems, c.checkHealth(ctx, f, h.Name)...)
	run.Problems = append(run.Problems, c.askAll(ctx)...)
	run.Stretch = Stretch{w.at(w.from), w.at(w.to)}
	c.see(&run, w)
	c.judge(&run, f, o, err)
	return run, err
}

// waitServed waits until every VIP is served again. The error names what each node lacks.
func (c *Cluster) waitServed(ctx context.Context, since time.Time, parted bool) error {
	limited, cancel := context.WithTimeout(ctx, c.limits.served)
	defer cancel()
	check := func() error { return c.served(since, parted) }
	defer c.explain(limited, check)()
	if err := poll.Nil(limited, 10*time.Millisecond, check); err != nil && ctx.Err() == nil {
		return fmt.Errorf("not served within %v: %s", c.limits.served, strings.Join(c.causes(ctx, check), "; "))
	}
	return ctx.Err()
}

func (r *Run) problem(err error) {
	if err != nil {
		r.Problems = append(r.Problems, strings.TrimSpace(err.Error()))
	}
}

// before records who holds each VIP.
func (c *Cluster) before(h *lab.Host) []VIPRun {
	var out []VIPRun
	for _, t := range c.targets {
		holders := t.holders.Now()
		out = append(out, VIPRun{Name: t.name, Before: strings.Join(holders, ", "), Struck: slices.Contains(holders, h.Name)})
	}
	return out
}

// see records what happened in the window.
func (c *Cluster) see(run *Run, w window) {
	for i, t := range c.targets {
		v := &run.VIPs[i]
		v.After = strings.Join(t.holders.Now(), ", ")
		v.Holdings = w.holdings(t.holders.Spans())
		v.During = strings.Join(holdersAt(v.Holdings, run.Repaired), ", ")
		v.Overlap = overlap(v.Holdings)
		v.Moved, _ = newHolder(v.Holdings, v.Before)
		v.Alone, _ = alone(v.Holdings)
		if t.watch == nil {
			continue
		}
		answers, failures := t.watch.seen(w.from)
		v.Asked, v.Requests, v.Lost = true, len(answers)+len(failures), len(failures)
		v.Gaps, v.Gap = w.gaps(answers)
		v.Losses = w.losses(failures)
	}
}

// judge finds the problems of a run.
func (c *Cluster) judge(run *Run, f drilled, o Faults, settled error) {
	if settled != nil {
		run.Problems = append(run.Problems, "it did not settle: "+settled.Error())
	}
	limit := millis(c.Spec.VRRP.AdvertInt)
	for _, v := range run.VIPs {
		// A handover is not atomic: a holder learns of another one from its next advertisement.
		two, when := v.Overlap, ""
		if f.parted {
			two, when = overlap(since(run.Repaired, v.Holdings)), " after the nodes could see each other again"
		}
		if two > limit {
			run.Problems = append(run.Problems, fmt.Sprintf("two holders of %s for %s%s, longer than an advertisement interval", v.Name, show(two), when))
		}
		if o.MaxGap > 0 && v.Gap > millis(o.MaxGap) {
			run.Problems = append(run.Problems, fmt.Sprintf("%s gave no answer for %s, longer than %v", v.Name, show(v.Gap), o.MaxGap))
		}
	}
}

// newReport returns a report with information about the drill's machine and software.
func (c *Cluster) newReport(ctx context.Context, o Faults, now time.Time) *Report {
	r := &Report{Cluster: c.Spec.Cluster, Spec: c.Spec.Digest, Date: now.UTC().Truncate(time.Second), Release: c.Release,
		Versions: versionsOf(ctx, c.hosts[0]), Notes: c.Notes,
		AdvertMS: millis(c.Spec.VRRP.AdvertInt), AskMS: millis(askInterval), MaxGapMS: millis(o.MaxGap)}
	for _, h := range c.hosts {
		r.Nodes = append(r.Nodes, h.Name)
	}
	for _, t := range c.targets {
		r.VIPs = append(r.VIPs, Asked{t.name, t.address.String(), t.url, t.why, servicesOf(c.Spec, t.vip)})
	}
	return r
}

// servicesOf returns the names of the services of a VIP.
func servicesOf(s *spec.Spec, vip string) []string {
	var names []string
	for i := range s.Services {
		if slices.Contains(s.Services[i].VIPs, vip) {
			names = append(names, s.Services[i].Name)
		}
	}
	return names
}

// machine describes the machine of the drill. If other programs load it, times depend more on the load than on the cluster.
func machine() string {
	text := fmt.Sprintf("%d processors", runtime.NumCPU())
	loads, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(loads)); err == nil && len(fields) > 1 {
		text += ", load average of the last 5 minutes " + fields[1]
	}
	return text
}

// versionsOf returns the versions of the software on a node.
func versionsOf(ctx context.Context, h *lab.Host) map[string]string {
	out := map[string]string{}
	for name, script := range map[string]string{
		"system": `. /etc/os-release && echo "$PRETTY_NAME"`,
		"kernel": "uname -r",
	} {
		if text, err := h.Must(ctx, "sh", "-c", script); err == nil {
			out[name] = strings.TrimSpace(text)
		}
	}
	if s, err := statusOf(ctx, h); err == nil {
		out["haproxy"], out["keepalived"], out["ha-agent"] = s.Versions.HAProxy, s.Versions.Keepalived, s.Versions.Agent
	}
	return out
}
