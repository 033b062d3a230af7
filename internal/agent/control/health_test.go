package control

import (
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
)

func healthy() Status {
	return Status{
		Daemon: Daemon{Running: true}, HAProxy: HAProxy{Answers: true},
		Targets: []Target{
			{Name: "sysctl", Generation: 1},
			{Name: "haproxy", Unit: "haproxy.service", Active: "active", Generation: 4},
			{Name: "keepalived", Unit: "keepalived.service", Active: "active", Generation: 2},
		},
		VIPs:    []VIP{{Name: "public"}},
		Changes: []journal.Change{{Number: 4, Targets: []string{"haproxy"}, Verdict: journal.Proven}},
	}
}

func TestJudge(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	panicked := func(ago time.Duration) func(s *Status) {
		return func(s *Status) {
			s.Daemon.Panics = []Panic{{Part: "round", Reason: "index out of range", Last: now.Add(-ago)}}
		}
	}
	refused := func(s *Status, v journal.Verdict) {
		s.Changes = append([]journal.Change{{Number: 5, Targets: []string{"haproxy"}, Verdict: v, Reason: "no such\nkeyword"}}, s.Changes...)
	}
	for name, tt := range map[string]struct {
		make func(s *Status)
		want string // the one problem; "" if there is none
	}{
		"well":                     {func(*Status) {}, ""},
		"a panic":                  {panicked(5 * time.Minute), "a part of the agent panicked: round: index out of range"},
		"a panic some time ago":    {panicked(time.Hour), ""},
		"maintenance":              {func(s *Status) { s.Maintenance = true }, ""},
		"keepalived reloads":       {func(s *Status) { s.Targets[2].Active = "reloading" }, ""},
		"nothing proven yet":       {func(s *Status) { s.Targets[1].Generation, s.Changes = 0, nil }, ""},
		"refused, and taken back":  {func(s *Status) { refused(s, journal.Refused) }, ""},
		"rolled back":              {func(s *Status) { refused(s, journal.RolledBack) }, ""},
		"failed, and proven since": {func(s *Status) { refused(s, journal.Failed); s.Changes[0], s.Changes[1] = s.Changes[1], s.Changes[0] }, ""},
		"a command":                {func(s *Status) { s.VIPs = []VIP{{Name: "v", OnChange: &OnChange{Runs: 1}}} }, ""},
		"a command that failed": {func(s *Status) {
			s.VIPs = []VIP{{Name: "v", OnChange: &OnChange{Runs: 1, Failures: 1, Why: "it ended with status 3"}}}
		},
			"the on_change command of VIP v failed: it ended with status 3"},
		"dead daemon":            {func(s *Status) { s.Daemon = Daemon{Why: "no answer"} }, "the agent's daemon does not run: no answer"},
		"haproxy is dead":        {func(s *Status) { s.HAProxy = HAProxy{Why: "no answer"} }, "haproxy does not answer: no answer"},
		"keepalived is dead":     {func(s *Status) { s.Targets[2].Active = "failed" }, "keepalived does not run: keepalived.service is failed"},
		"keepalived is not seen": {func(s *Status) { s.Targets[2].Active = "" }, "keepalived does not run: keepalived.service is unknown: systemd does not answer"},
		"drift":                  {func(s *Status) { s.Targets[0].Drift = true }, "sysctl: the files differ from those that it runs on (generation 1)"},
		"refused": {func(s *Status) { refused(s, journal.Refused); s.Targets[1].Drift = true },
			"haproxy: the files differ from those that it runs on (generation 4); change 5 was refused: no such keyword"},
		"failed":         {func(s *Status) { refused(s, journal.Failed) }, "haproxy: it is not known whether it runs on its files; change 5 was failed: no such keyword"},
		"refused, first": {func(s *Status) { refused(s, journal.Refused); s.Targets[1].Generation = 0 }, "haproxy: no files were ever proven; change 5 was refused: no such keyword"},
		"two holders": {func(s *Status) { s.VIPs[0].OtherHolders = []OtherHolder{{HardwareAddress: "02:00:00:00:00:09"}} },
			"VIP public has another holder: 02:00:00:00:00:09"},
		"the daemon's own": {func(s *Status) { s.Problems = []string{"it panicked"} }, "it panicked"},
	} {
		s := healthy()
		tt.make(&s)
		s.Judge(now)
		if got := strings.Join(s.Problems, "\n"); got != tt.want || s.Healthy != (tt.want == "") {
			t.Errorf("%s: got %q and healthy %t, want %q", name, got, s.Healthy, tt.want)
		}
	}
}
