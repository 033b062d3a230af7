package drill

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/wellknown"
)

// watchedUnits returns the units that a working node needs.
func watchedUnits() []string {
	return []string{wellknown.AgentUnit, wellknown.HAProxyUnit, wellknown.KeepalivedUnit}
}

// preparingUnits returns units that run once at each boot and must not fail.
func preparingUnits() []string {
	return []string{wellknown.FirewallUnit, wellknown.CertificatesUnit}
}

// health has the state of the nodes' units at the last check.
type health struct {
	checked time.Time
	nodes   map[string]nodeUnits
}

// nodeUnits has the units of a node in one boot.
type nodeUnits struct {
	leader int // the process ID of the boot's systemd
	units  map[string]unit
}

// unit has properties of a service from systemd; see org.freedesktop.systemd1(5).
type unit struct {
	active, sub, invocation string
	result                  string // of the last run
	restarts                int    // by systemd itself
	status                  int    // last exit status of the main process
}

// running returns nil if the unit runs, and otherwise the reason.
func (u unit) running() error {
	if u.active == "active" && u.sub == "running" {
		return nil
	}
	return fmt.Errorf("is %s (%s), result %s, last exit status %d", u.active, u.sub, u.result, u.status)
}

// checkHealth checks whether the agent, haproxy and keepalived work correctly on each node, and returns the problems. A unit
// of the struck node may have been restarted if the fault causes that.
func (c *Cluster) checkHealth(ctx context.Context, f drilled, struck string) []string {
	if c.byHand() {
		return nil // there is no agent, and systemd restarts what its units say
	}
	now := health{checked: time.Now(), nodes: map[string]nodeUnits{}}
	var mu sync.Mutex
	found := map[string][]string{}
	var group errgroup.Group
	for _, h := range c.hosts {
		group.Go(func() error {
			allowed := f.restarts
			if h.Name != struck {
				allowed = nil
			}
			node, problems := c.checkNode(ctx, h, allowed)
			mu.Lock()
			defer mu.Unlock()
			now.nodes[h.Name], found[h.Name] = node, problems
			return nil
		})
	}
	_ = group.Wait()
	c.health = now
	var out []string
	for _, h := range c.hosts {
		out = append(out, found[h.Name]...)
	}
	return out
}

// checkNode waits until a node is healthy, and compares its units with those of the last check.
func (c *Cluster) checkNode(ctx context.Context, h *lab.Host, allowed []string) (now nodeUnits, problems []string) {
	before := c.health.nodes[h.Name]
	limited, cancel := context.WithTimeout(ctx, c.limits.health)
	defer cancel()
	var wrong []string
	_ = poll.Nil(limited, 250*time.Millisecond, func() error {
		found, problems := look(limited, h)
		if limited.Err() != nil && wrong != nil {
			return limited.Err() // report what was found before the timeout
		}
		now, wrong = found, problems
		if len(wrong) > 0 {
			return errors.New(wrong[0])
		}
		return nil
	})
	if ctx.Err() != nil {
		return now, nil // the drill was interrupted, so the result is unknown
	}
	problems = append(wrong, restarted(h.Name, before, now, allowed)...)
	return now, append(problems, complaints(ctx, h, c.health.checked, allowed)...)
}

// look returns the state of a node's units and the node's problems.
func look(ctx context.Context, h *lab.Host) (now nodeUnits, wrong []string) {
	if now.leader, _ = h.Leader(); now.leader == 0 {
		return now, []string{h.Name + " is off"}
	}
	args := append([]string{"show", "--property=Id,ActiveState,SubState,Result,NRestarts,ExecMainStatus,InvocationID"},
		slices.Concat(watchedUnits(), preparingUnits())...)
	out, err := h.Must(ctx, "systemctl", args...)
	if err != nil {
		return now, []string{strings.TrimSpace(err.Error())}
	}
	now.units = parseUnits(out)
	for _, name := range watchedUnits() {
		if err := now.units[name].running(); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s on %s %v", strings.TrimSuffix(name, ".service"), h.Name, err))
		}
	}
	for _, name := range preparingUnits() {
		if u := now.units[name]; u.active == "failed" {
			wrong = append(wrong, fmt.Sprintf("%s on %s %v", name, h.Name, u.running()))
		}
		delete(now.units, name)
	}
	s, err := statusOf(ctx, h)
	if err != nil {
		return now, append(wrong, strings.TrimSpace(err.Error()))
	}
	return now, append(wrong, wrongIn(s, h.Name)...)
}

// parseUnits parses the output of systemctl show: a paragraph of properties for each unit.
func parseUnits(text string) map[string]unit {
	out := map[string]unit{}
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		properties := map[string]string{}
		for lines := bufio.NewScanner(strings.NewReader(paragraph)); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), "="); ok {
				properties[name] = value
			}
		}
		u := unit{active: properties["ActiveState"], sub: properties["SubState"], invocation: properties["InvocationID"], result: properties["Result"]}
		u.restarts, _ = strconv.Atoi(properties["NRestarts"])
		u.status, _ = strconv.Atoi(properties["ExecMainStatus"])
		if id := properties["Id"]; id != "" {
			out[id] = u
		}
	}
	return out
}

// wrongIn returns the problems in the status of a node's agent.
func wrongIn(s control.Status, node string) []string {
	var out []string
	wrong := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !s.Daemon.Running {
		wrong("ha-agent on %s does not answer: %s", node, s.Daemon.Why)
	}
	if !s.HAProxy.Answers {
		wrong("haproxy does not answer on %s: %s", node, s.HAProxy.Why)
	}
	if s.Maintenance {
		wrong("%s is in maintenance", node)
	}
	for _, i := range s.Instances {
		if i.State == control.Unknown && !s.Daemon.Running {
			continue // only the daemon gets this from keepalived
		}
		if slices.Contains([]string{"FAULT", "STOP", control.Unknown}, i.State) {
			wrong("%s on %s is in state %s%s", i.Name, node, i.State, because(i.Why))
		}
	}
	for _, t := range s.Targets {
		switch {
		case t.Drift:
			wrong("the files of %s on %s are not those that ha-agent proved", t.Name, node)
		case t.Generation == 0:
			wrong("ha-agent on %s has not proved the files of %s", node, t.Name)
		}
	}
	for _, v := range s.VIPs {
		for _, o := range v.OtherHolders {
			wrong("another machine (%s) answers for %s of %s, which %s holds", o.HardwareAddress, o.Address, v.Name, node)
		}
	}
	return out
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// restarted compares a node's units with those of the last check. In a new boot, no unit may have been restarted. In the
// same boot, only the allowed units may have been restarted, once.
func restarted(node string, before, now nodeUnits, allowed []string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(now.units)) {
		u, was := now.units[name], unit{}
		short := strings.TrimSuffix(name, ".service")
		if before.leader == now.leader {
			was = before.units[name]
		}
		times := u.restarts - was.restarts
		if times < 0 { // a requested start sets it to zero
			times = u.restarts
		}
		switch {
		case times > 1 || times == 1 && !slices.Contains(allowed, name):
			out = append(out, fmt.Sprintf("systemd has restarted %s on %s %s: result %s, last exit status %d", short, node, plural(times, "time"), u.result, u.status))
		case was.invocation != "" && u.invocation != was.invocation && !slices.Contains(allowed, name):
			out = append(out, fmt.Sprintf("%s on %s was restarted, which this fault does not cause", short, node))
		}
	}
	return out
}

// complaint matches lines in a unit's journal that a healthy unit never writes.
var complaint = map[string]*regexp.Regexp{
	wellknown.AgentUnit:      regexp.MustCompile(`\bpanic\b|^fatal error: |SIGSEGV|[Ww]atchdog timeout`),
	wellknown.HAProxyUnit:    regexp.MustCompile(`\b[Pp]anic\b|\bPANIC\b|Current worker .* exited|[Ss]egmentation fault`),
	wellknown.KeepalivedUnit: regexp.MustCompile(`[Rr]espawning|[Ss]egmentation fault|(?i)\bassert`),
}

// complaints returns, for each unit, the first matching line in its journal since the last check.
func complaints(ctx context.Context, h *lab.Host, since time.Time, allowed []string) []string {
	var out []string
	for _, name := range watchedUnits() {
		if slices.Contains(allowed, name) {
			continue
		}
		for _, line := range logged(ctx, h, name, since) {
			if complaint[name].MatchString(line) {
				out = append(out, fmt.Sprintf("%s on %s: %s", strings.TrimSuffix(name, ".service"), h.Name, line))
				break
			}
		}
	}
	return out
}

// logged returns the messages of a unit since a time, or since the boot if the time is zero.
func logged(ctx context.Context, h *lab.Host, unit string, since time.Time) []string {
	args := []string{"--quiet", "--no-pager", "--boot", "--output=cat", "--unit=" + unit}
	if !since.IsZero() {
		args = append(args, fmt.Sprintf("--since=@%d.%06d", since.Unix(), since.Nanosecond()/1000))
	}
	out, err := h.Must(ctx, "journalctl", args...)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(out), "\n")
}
