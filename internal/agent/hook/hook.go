// Package hook runs the operator's command for a virtual IP: at each change of its state, and repeatedly on the node that holds
// it. Nothing waits for the command: if it hangs or fails, that has no effect on VRRP.
package hook

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/keepalived"
)

const (
	// Interval is the time between two runs on the holder, and before another try of a command that could not be started.
	Interval = 10 * time.Second
	// defaultTimeout is the time limit of a run if the configuration has none.
	defaultTimeout = 10 * time.Second
	// endTime is the time limit for systemd to end a run whose time is over.
	endTime = 5 * time.Second
)

// State is the last state that keepalived reported for a VIP's instance, as far as the kernel's addresses agree.
type State struct {
	State    keepalived.State
	Priority int
}

// Job is one run of a command.
type Job struct {
	Unit    string // of systemd
	Argv    []string
	Env     []string // NAME=value
	User    string   // empty: a temporary user that exists only while the command runs
	Timeout time.Duration
}

// ErrNotStarted reports that a command did not run.
var ErrNotStarted = errors.New("the command was not started")

// Runner runs the commands of all VIPs.
type Runner struct {
	Conf *config.Config
	// State returns the state of a VIP; false: it is unknown.
	State func(config.VIP) (State, bool)
	// Start runs a job to its end and sends its output to out. An error of a command that did not run wraps ErrNotStarted.
	Start func(ctx context.Context, job Job, out *os.File) error
	// Kill ends a job that is running.
	Kill func(ctx context.Context, unit string) error
	Log  *slog.Logger
	// Mask returns a function that hides secrets in a line of output.
	Mask func() func(line string) string
	// Interval is how often the command runs on the holder. Default: Interval.
	Interval time.Duration

	mu    sync.Mutex
	hooks map[string]*hook // by the VIP's name
}

// hook is the command of one VIP.
type hook struct {
	vip  config.VIP
	look chan struct{} // has a value when the state may have changed

	mu     sync.Mutex
	status control.OnChange

	said string // used only by the hook's goroutine: the output of the previous run
}

// all returns the hooks by the VIPs' names. They are created at the first call.
func (r *Runner) all() map[string]*hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hooks == nil {
		r.hooks = map[string]*hook{}
		for _, v := range r.Conf.VIPs {
			if v.OnChange != nil {
				r.hooks[v.Name] = &hook{vip: v, look: make(chan struct{}, 1), status: control.OnChange{Command: v.OnChange.Command}}
			}
		}
	}
	return r.hooks
}

// Run runs the commands until ctx ends, and then ends those that are running.
func (r *Runner) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, h := range r.all() {
		wg.Go(func() { r.follow(ctx, h) })
	}
}

// Look makes the Runner look at the states of the VIPs, because one may have changed. It never waits.
func (r *Runner) Look() {
	for _, h := range r.all() {
		select {
		case h.look <- struct{}{}:
		default:
		}
	}
}

// Status returns the result of a VIP's command; nil: the VIP has none.
func (r *Runner) Status(vip string) *control.OnChange {
	h := r.all()[vip]
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.status
	return &s
}

// follow runs one command whenever it is due: for a new state, and after the interval on the holder or if the command did not
// start.
func (r *Runner) follow(ctx context.Context, h *hook) {
	interval := cmp.Or(r.Interval, Interval)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var tried, done keepalived.State // the states of the last try and of the last run
	late := false                    // the interval is over
	for ctx.Err() == nil {
		now, known := r.State(h.vip)
		if known && (now.State != tried || late && (now.State == keepalived.Master || now.State != done)) {
			reason := "holder"
			if now.State != done {
				reason = "change"
			}
			tried = now.State
			if err := r.run(ctx, h, now, reason); !errors.Is(err, ErrNotStarted) {
				done = now.State
			}
			late = false
			tick.Reset(interval)
			continue // the state may have changed meanwhile
		}
		late = false
		select {
		case <-ctx.Done():
		case <-h.look:
		case <-tick.C:
			late = true
		}
	}
}

// run runs the command once. It ends the run if the state changes.
func (r *Runner) run(ctx context.Context, h *hook, state State, reason string) error {
	job := r.job(h.vip, state, reason)
	ctx, cancel := context.WithTimeout(ctx, job.Timeout+endTime)
	defer cancel()
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { r.endIfOver(ctx, h, job.Unit, state, over) })
	began := time.Now()
	output, err := r.capture(ctx, job)
	close(over)
	watching.Wait()
	r.note(h, state, reason, output, err, time.Since(began))
	return err
}

// endIfOver ends a run when the VIP's state differs from the state of the run, or the agent ends.
func (r *Runner) endIfOver(ctx context.Context, h *hook, unit string, state State, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-h.look:
			if now, known := r.State(h.vip); !known || now.State == state.State {
				continue
			}
		case <-ctx.Done():
		}
		kill, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := r.Kill(kill, unit); err != nil {
			r.Log.Warn("cannot end the on_change command of a virtual IP whose state has changed", "vip", h.vip.Name, "error", err)
		}
		return
	}
}

// job returns a run of a VIP's command. The arguments are those of keepalived's notify scripts; the environment has more
// information.
func (r *Runner) job(v config.VIP, state State, reason string) Job {
	instance := ""
	if len(v.Instances) > 0 {
		instance = v.Instances[0]
	}
	var addresses []string
	for _, a := range v.Addresses {
		addresses = append(addresses, a.String())
	}
	priority := strconv.Itoa(state.Priority)
	return Job{
		Unit: unitOf(v.Name), User: v.OnChange.User, Timeout: cmp.Or(v.OnChange.Timeout, defaultTimeout),
		Argv: append(strings.Split(v.OnChange.Command, " "), "INSTANCE", instance, string(state.State), priority),
		Env: []string{"HAPAIR_CLUSTER=" + r.Conf.Cluster, "HAPAIR_NODE=" + r.Conf.Node, "HAPAIR_VIP=" + v.Name, "HAPAIR_INTERFACE=" + v.Interface,
			"HAPAIR_ADDRESSES=" + strings.Join(addresses, " "), "HAPAIR_STATE=" + string(state.State), "HAPAIR_PRIORITY=" + priority, "HAPAIR_REASON=" + reason},
	}
}

// unitOf returns the name of the transient unit of a VIP's command. Names of VIPs contain only characters that unit names may
// contain.
func unitOf(vip string) string { return "hapair-on-change-" + vip + ".service" }

// note stores the result of a run and logs it, unless the previous run had the same result.
func (r *Runner) note(h *hook, state State, reason string, output []string, err error, took time.Duration) {
	h.mu.Lock()
	failedBefore := h.status.Why
	h.status.State, h.status.Last = string(state.State), time.Now().UTC()
	h.status.Runs++
	h.status.Why = ""
	if err != nil {
		h.status.Failures++
		h.status.Why = err.Error()
	}
	why := h.status.Why
	h.mu.Unlock()
	said := strings.Join(output, "\n")
	log := r.Log.With("vip", h.vip.Name, "state", string(state.State))
	if reason == "change" || said != h.said {
		for _, line := range output {
			log.Info("on_change says", "line", line)
		}
	}
	h.said = said
	switch {
	case err != nil && (why != failedBefore || reason == "change"):
		log.Error("the on_change command failed", "error", err, "took", took.Round(time.Millisecond))
	case err == nil && (reason == "change" || failedBefore != ""):
		log.Info("the on_change command is done", "took", took.Round(time.Millisecond))
	}
}
