package target

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/testing/haproxytest"
)

func TestOutlook(t *testing.T) {
	for name, c := range map[string]struct {
		servers []haproxy.Server
		want    prospect
		failing bool
	}{
		"checked":                      {[]haproxy.Server{{Status: "UP", Check: "L4OK"}}, serves, false},
		"not checked since the reload": {[]haproxy.Server{{Status: "UP", Check: "INI"}}, open, false},
		"without a check":              {[]haproxy.Server{{Status: "no check"}}, serves, false},
		"one check failed":             {[]haproxy.Server{{Status: "UP 2/3", Check: "L4CON"}}, open, true},
		"down":                         {[]haproxy.Server{{Status: "DOWN", Check: "L7STS"}}, dead, true},
		"down as it was saved":         {[]haproxy.Server{{Status: "DOWN", Check: "INI"}}, open, false},
		"one of two":                   {[]haproxy.Server{{Status: "DOWN", Check: "L4TOUT"}, {Status: "UP 1/3", Check: "INI"}}, open, false},
		"both down":                    {[]haproxy.Server{{Status: "DOWN", Check: "L4TOUT"}, {Status: "DOWN", Check: "L4CON"}}, dead, true},
		"taken out":                    {[]haproxy.Server{{Status: "MAINT"}, {Status: "DRAIN", Check: "L4OK"}}, serves, true},
		"taken out, and down":          {[]haproxy.Server{{Status: "MAINT"}, {Status: "DOWN", Check: "L4CON"}}, dead, true},
		"a name that is looked up":     {[]haproxy.Server{{Status: "MAINT (resolution)", Check: "INI"}}, open, false},
		"no server":                    {nil, dead, true},
	} {
		if got := outlook(c.servers); got != c.want {
			t.Errorf("%s: outlook %d, want %d", name, got, c.want)
		}
		if got := failing(c.servers); got != c.failing {
			t.Errorf("%s: failing %v, want %v", name, got, c.failing)
		}
	}
}

// TestChangedBackendsMustServe reloads a haproxy that reports servers as in the table. The configuration changes from old to
// that of the file.
func TestChangedBackendsMustServe(t *testing.T) {
	const old = "backend a\n  server s 192.0.2.1:80 check\nbackend b\n server s 192.0.2.2:80 check\n"
	const up, unchecked, down = "UP,L4OK", "UP,INI", "DOWN,L4CON"
	for name, c := range map[string]struct {
		conf   string
		before string   // of the only server of each backend
		after  []string // one for each query after the reload; the last one is repeated
		allow  bool
		want   string // part of the error; empty if the change is proven
		asked  bool
	}{
		"nothing of a backend changes": {conf: "global\n" + old, before: up, after: []string{down}},
		"white space and comments":     {conf: strings.ReplaceAll(old, "server", "# x\n\tserver"), before: up, after: []string{down}},
		"it serves":                    {conf: strings.Replace(old, ".1:80", ".9:80", 1), before: up, after: []string{unchecked, unchecked, up}, asked: true},
		"it is dead":                   {conf: strings.Replace(old, ".1:80", ".9:80", 1), before: up, after: []string{unchecked, down}, want: `backend "a" had a server up before this change, and has none now: s is DOWN L4CON`, asked: true},
		"it was dead before":           {conf: strings.Replace(old, ".1:80", ".9:80", 1), before: down, after: []string{down}},
		"it was not checked before":    {conf: strings.Replace(old, ".1:80", ".9:80", 1), before: unchecked, after: []string{down}},
		"it is meant":                  {conf: strings.Replace(old, ".1:80", ".9:80", 1), before: up, after: []string{down}, allow: true},
		"a new backend":                {conf: old + "backend c\n  server s 192.0.2.9:80 check\n", before: up, after: []string{down}},
		"defaults change":              {conf: "defaults\n  timeout check 1ms\n" + old, before: up, after: []string{down}, want: `backend "a" had`, asked: true},
		"it is never checked":          {conf: strings.Replace(old, ".1:80", ".9:80", 1), before: up, after: []string{unchecked}, asked: true},
		"its checks fail, slowly":      {conf: strings.Replace(old, ".1:80", ".9:80", 1), before: up, after: []string{"UP 2/3,L4TOUT"}, want: "s is UP 2/3 L4TOUT", asked: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &master{table: fresh26, after: good26}
			reads := 0
			socket := haproxytest.Answering(t, func(command string) string {
				if !strings.Contains(command, "show stat") {
					return m.answer(command)
				}
				state := c.before
				if m.reloads > 0 {
					state = c.after[min(reads, len(c.after)-1)]
					reads++
				}
				return fmt.Sprintf("# pxname,svname,status,check_status,\n%s,s,%s,\n\n", strings.Fields(command)[3], state)
			})
			path := filepath.Join(t.TempDir(), "haproxy.cfg")
			if err := os.WriteFile(path, []byte(c.conf), 0o600); err != nil {
				t.Fatal(err)
			}
			target := &HAProxy{conf: config.HAProxy{Config: path, Unit: "haproxy.service", MasterSocket: socket}, units: m,
				runs: func() (haproxyRuns, bool) { return haproxyRuns{conf: old}, true }}
			ctx := t.Context()
			if c.allow {
				ctx = AllowNoServers(ctx)
			}
			limited, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			err := target.Take(limited, time.Time{})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("the proof returned %v, want %q", err, c.want)
			}
			if (reads > 0) != c.asked {
				t.Errorf("after the reload, servers were queried %d times", reads)
			}
		})
	}
}
