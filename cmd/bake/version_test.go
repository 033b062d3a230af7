package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/internal/version"
)

// TestOneVersion builds all programs with a commit, and checks the version that each prints in both ways.
func TestOneVersion(t *testing.T) {
	needs.Programs(t) // building the programs takes too long for a unit test
	dir := t.TempDir()
	const flag = "-X github.com/hapair/hapair/internal/version.commit=3f2a9c4"
	gotool.Build(t, dir+"/", "-ldflags", flag, "../...")
	for _, program := range []string{"bake", "ha-agent", "packer-plugin-hapair"} {
		for _, arg := range []string{"version", "--version"} {
			out, err := exec.CommandContext(t.Context(), filepath.Join(dir, program), arg).CombinedOutput()
			if want := version.Version + "+3f2a9c4\n"; err != nil || string(out) != want {
				t.Errorf("%s %s: %q, %v; want %q", program, arg, out, err, want)
			}
		}
	}
}

func TestArguments(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"validate"}, `cannot run "bake validate": argument SPEC is missing`},
		{[]string{"render", "a.yaml", "b.yaml"}, `unexpected argument "b.yaml"; usage: bake render SPEC -o DIR`},
		{[]string{"image"}, "argument SPEC is missing"},
		{[]string{"verify"}, "argument SPEC is missing"},
		{[]string{"drill", "shell"}, "argument NODE is missing"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), c.args, nil, &stdout, &stderr); code != exitstatus.Usage || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%q: status %d, %s", c.args, code, stderr.String())
		}
	}
}
