package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
)

// panicAge is how long a part counts as broken after a panic. A part that still panics is tried again at least every 5 minutes.
const panicAge = 10 * time.Minute

// Judge fills in Problems and Healthy. Maintenance is not a problem, because the operator asked for it.
func (s *Status) Judge(now time.Time) {
	add := func(format string, args ...any) { s.Problems = append(s.Problems, fmt.Sprintf(format, args...)) }
	if !s.Daemon.Running {
		add("the agent's daemon does not run: %s", s.Daemon.Why)
	}
	for _, p := range s.Daemon.Panics {
		if now.Sub(p.Last).Abs() < panicAge {
			add("a part of the agent panicked: %s: %s", p.Part, p.Reason)
		}
	}
	if !s.HAProxy.Answers {
		add("haproxy does not answer: %s", s.HAProxy.Why)
	}
	for _, t := range s.Targets {
		if t.Name == "keepalived" && t.Active != "active" && t.Active != "reloading" {
			add("keepalived does not run: %s is %s", t.Unit, orUnknown(t.Active))
		}
	}
	s.Problems = append(s.Problems, s.FileProblems()...)
	for _, v := range s.VIPs {
		if len(v.OtherHolders) > 0 {
			add("VIP %s has another holder: %s", v.Name, v.OtherHolders[0].HardwareAddress)
		}
		if v.OnChange != nil && v.OnChange.Why != "" {
			add("the on_change command of VIP %s failed: %s", v.Name, v.OnChange.Why)
		}
	}
	if r := s.Revision; r != nil && r.Trial != nil && r.Trial.Waits != "" {
		add("the trial of revision %d does not end: %s", r.Trial.Number, r.Trial.Waits)
	}
	for _, c := range s.Certificates {
		// A placeholder is no problem of the node: it does what it can until the real certificate is there. verify demands it.
		if why := c.Problem(now); why != "" && !c.Placeholder {
			add("certificate %s: %s", c.Path, why)
		}
	}
	s.Healthy = len(s.Problems) == 0
}

// FileProblems describes the targets whose service does not run on the files on the disk, in one sentence each.
func (s *Status) FileProblems() []string {
	var all []string
	for _, t := range s.Targets {
		if why := s.targetProblem(t); why != "" {
			all = append(all, t.Name+": "+why)
		}
	}
	return all
}

func orUnknown(state string) string {
	if state == "" {
		return Unknown + ": systemd does not answer"
	}
	return state
}

// targetProblem returns the problem with the files of a target, or "".
func (s *Status) targetProblem(t Target) string {
	var last journal.Change // the last change of the target
	if i := slices.IndexFunc(s.Changes, func(c journal.Change) bool { return slices.Contains(c.Targets, t.Name) }); i >= 0 {
		last = s.Changes[i]
	}
	because := ""
	if last.Verdict != "" && last.Verdict != journal.Proven {
		because = fmt.Sprintf("; change %d was %s: %s", last.Number, last.Verdict, strings.Join(strings.Fields(last.Reason), " "))
	}
	switch {
	case t.Drift:
		return fmt.Sprintf("the files differ from those that it runs on (generation %d)%s", t.Generation, because)
	case last.Verdict == journal.Failed || last.Verdict == journal.Interrupted:
		return "it is not known whether it runs on its files" + because
	case t.Generation == 0 && because != "":
		return "no files were ever proven" + because
	}
	return ""
}
