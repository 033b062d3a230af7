package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/version"

	"github.com/hapair/hapair/internal/testing/haproxytest"
)

// try runs ha-agent with the given arguments.
func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestExitStatusAndOutput(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "agent.yaml")
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("apiVersion: hapair-agent/v1\nnoed: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args           []string
		code           int
		stdout, stderr string // text that must be in the output; if empty, the output must be empty
	}{
		{nil, exitstatus.Usage, "", "the command is missing"},
		{[]string{"dance"}, exitstatus.Usage, "", `unknown command "dance"`},
		{[]string{"help"}, exitstatus.OK, "ha-agent COMMAND", ""},
		{[]string{"check", "-h"}, exitstatus.OK, "-timeout", ""},
		{[]string{"check", "--no-such"}, exitstatus.Usage, "", "check: flag provided but not defined"},
		{[]string{"check", "extra"}, exitstatus.Usage, "", `cannot run check: unexpected argument "extra"`},
		{[]string{"check", "--timeout", "0s"}, exitstatus.Usage, "", "too short"},
		{[]string{"check", "--socket", missing}, exitstatus.No, "", "cannot connect to " + missing},
		{[]string{"verify", "--stage", "moon"}, exitstatus.Usage, "", `unknown --stage "moon"`},
		{[]string{"verify", "--config", missing}, exitstatus.Failure, "", "cannot read the agent's configuration"},
		{[]string{"verify", "--config", broken}, exitstatus.Failure, "", "broken.yaml:2:1"},
		{[]string{"status", "--config", missing}, exitstatus.Failure, "", "cannot read the agent's configuration"},
		{[]string{"maintenance"}, exitstatus.Usage, "", "the argument must be on or off"},
		{[]string{"maintenance", "-h"}, exitstatus.OK, "-force", ""},
		{[]string{"maintenance", "off", "--force"}, exitstatus.Usage, "", "flag provided but not defined"},
		{[]string{"maintenance", "on", "--for", "-1h"}, exitstatus.Usage, "", "in the past"},
		{[]string{"maintenance", "on", "--config", missing}, exitstatus.Failure, "", "cannot read the agent's configuration"},
		{[]string{"version"}, exitstatus.OK, version.String() + "\n", ""},
		{[]string{"--version"}, exitstatus.OK, version.String() + "\n", ""},
		{[]string{"version", "x"}, exitstatus.Usage, "", `cannot run version: unexpected argument "x"`},
		{[]string{"apply"}, exitstatus.Usage, "", "cannot run apply: argument DIR is missing"},
		{[]string{"apply", missing}, exitstatus.Failure, "", "cannot apply " + missing},
		{[]string{"apply", filepath.Dir(broken)}, exitstatus.Failure, "", "the agent's daemon does not answer"},
		{[]string{"run", "--config", broken}, exitstatus.Failure, "", "broken.yaml:2:1"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			code, stdout, stderr := try(t, tt.args...)
			if code != tt.code {
				t.Errorf("exit status %d, want %d", code, tt.code)
			}
			for _, s := range []struct{ name, got, want string }{{"stdout", stdout, tt.stdout}, {"stderr", stderr, tt.stderr}} {
				if !strings.Contains(s.got, s.want) || (s.want == "" && s.got != "") {
					t.Errorf("%s is %q, want %q in it", s.name, s.got, s.want)
				}
			}
		})
	}
}

func TestSuccessfulCheckPrintsNothing(t *testing.T) {
	path := haproxytest.NewWorker(t).Path
	if code, stdout, stderr := try(t, "check", "--socket", path); code != exitstatus.OK || stdout+stderr != "" {
		t.Fatalf("exit status %d, %q, %q", code, stdout, stderr)
	}
}

func TestRunWaitsForItsConfiguration(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"run", "--config", filepath.Join(t.TempDir(), "agent.yaml")}, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
	}()
	select {
	case code := <-ended:
		t.Fatalf("run did not wait for its configuration: exit status %d", code)
	default:
	}
	cancel()
	if code := <-ended; code != exitstatus.OK {
		t.Fatalf("exit status %d", code)
	}
}
