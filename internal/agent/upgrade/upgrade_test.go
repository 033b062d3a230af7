package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/validator"
)

// policy is the output of apt-cache on Ubuntu 24.04, with a security update of haproxy and another update of keepalived.
const policy = `haproxy:
  Installed: 2.8.5-1ubuntu3
  Candidate: 2.8.30-0ubuntu0.24.04.2
  Version table:
     2.8.30-0ubuntu0.24.04.2 500
        500 http://archive.ubuntu.com/ubuntu noble-updates/main amd64 Packages
        500 http://security.ubuntu.com/ubuntu noble-security/main amd64 Packages
 *** 2.8.5-1ubuntu3 500
        500 http://archive.ubuntu.com/ubuntu noble/main amd64 Packages
        100 /var/lib/dpkg/status
keepalived:
  Installed: 1:2.2.8-1build2
  Candidate: 1:2.2.8-1ubuntu1
  Version table:
     1:2.2.8-1ubuntu1 500
        500 http://archive.ubuntu.com/ubuntu noble-updates/main amd64 Packages
 *** 1:2.2.8-1build2 500
        500 http://security.ubuntu.com/ubuntu noble-security/main amd64 Packages
        100 /var/lib/dpkg/status
`

func TestParsePolicy(t *testing.T) {
	want := []Upgrade{{"haproxy", "2.8.5-1ubuntu3", "2.8.30-0ubuntu0.24.04.2", true}, {"keepalived", "1:2.2.8-1build2", "1:2.2.8-1ubuntu1", false}}
	if got := parsePolicy(policy); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, output := range []string{"", "haproxy:\n  Installed: (none)\n  Candidate: 2.8\n", "haproxy:\n  Installed: 2.8\n  Candidate: 2.8\n  Version table:\n *** 2.8 500\n", "N: Unable to locate package haproxy\n"} {
		if got := parsePolicy(output); len(got) > 0 {
			t.Errorf("ParsePolicy(%q) = %+v, want nothing", output, got)
		}
	}
}

func TestUpgrade(t *testing.T) {
	well := control.Status{Daemon: control.Daemon{Running: true}, HAProxy: control.HAProxy{Answers: true}}
	ill := control.Status{Daemon: control.Daemon{Running: true}}
	for name, c := range map[string]struct {
		all     bool
		before  control.Status
		fails   string // the program that fails
		refuses bool   // the daemon refuses maintenance
		want    string // what was done, in order
		refused string
		err     string
	}{
		"security updates": {before: well, want: "apt-get update; apt-cache policy; maintenance on; install haproxy=2.8.30-0ubuntu0.24.04.2; apt-mark hold; maintenance off"},
		"all updates":      {all: true, before: well, want: "apt-get update; apt-cache policy; maintenance on; install haproxy=2.8.30-0ubuntu0.24.04.2 keepalived=1:2.2.8-1ubuntu1; apt-mark hold; maintenance off"},
		"an ill node":      {before: ill, want: "apt-get update; apt-cache policy", refused: "the node is not healthy: haproxy does not answer"},
		"the only node":    {before: well, refuses: true, want: "apt-get update; apt-cache policy; maintenance on", refused: "no peer"},
		"apt fails":        {before: well, fails: "env", want: "apt-get update; apt-cache policy; maintenance on; install haproxy=2.8.30-0ubuntu0.24.04.2", err: "the node stays in maintenance"},
		"no archive":       {before: well, fails: "apt-get", want: "apt-get update", err: "cannot run apt-get"},
	} {
		t.Run(name, func(t *testing.T) {
			var did []string
			m := &Machine{Step: func(string) {}, Run: func(_ context.Context, name string, args ...string) (validator.Result, error) {
				switch i := slices.Index(args, "--"); {
				case i >= 0:
					did = append(did, "install "+strings.Join(args[i+1:], " "))
				case name == "apt-get":
					did = append(did, "apt-get update")
				default:
					did = append(did, name+" "+args[0])
				}
				if name == c.fails {
					return validator.Result{Status: 100, Output: "E: it fails\n"}, nil
				}
				return validator.Result{Output: policy}, nil
			}, Ask: func(_ context.Context, req control.Request, result any) error {
				var answer any = c.before
				if req.Command == "maintenance" {
					did = append(did, fmt.Sprintf("maintenance %s", map[bool]string{true: "on", false: "off"}[req.Maintenance.On]))
					answer = control.Maintenance{On: req.Maintenance.On, Refused: map[bool]string{true: "no peer"}[c.refuses]}
				}
				data, err := json.Marshal(answer)
				return errors.Join(err, json.Unmarshal(data, result))
			}}
			c.before.Targets = nil
			done, err := m.Upgrade(t.Context(), c.all)
			if got := strings.Join(did, "; "); got != c.want {
				t.Errorf("the upgrade did %s\nwant %s", got, c.want)
			}
			if !strings.Contains(done.Refused, c.refused) || (done.Refused == "") != (c.refused == "") {
				t.Errorf("refused: %q, want %q", done.Refused, c.refused)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}
