package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/testing/needs"
)

// clusters writes n specs to two folders of a folder. The spec number 7 has an unknown key.
func clusters(t *testing.T, n int) string {
	t.Helper()
	t.Setenv("PATH", t.TempDir()) // no haproxy and no keepalived test them
	t.Chdir(t.TempDir())
	const spec = `apiVersion: hapair/v1
cluster: c%[1]d
nodes:
  - {name: a, address: 10.%[1]d.0.11/24, interface: {name: eth0, mac: 52:54:00:00:00:0a}}
  - {name: b, address: 10.%[1]d.0.12/24, interface: {name: eth0, mac: 52:54:00:00:00:0b}}
vips: [{name: v, address: 10.%[1]d.0.10/24}]
services:
  - {name: web, vip: v, port: 80, servers: [{name: w, address: 10.%[1]d.0.21, port: 80}]}
`
	for i := range n {
		text := fmt.Sprintf(spec, i)
		if i == 7 {
			text += "servces: []\n"
		}
		name := fmt.Sprintf("clusters/%s/c%03d.yaml", []string{"east", "west"}[i%2], i)
		write(t, name, text)
	}
	write(t, "clusters/notes.yaml", "apiVersion: v1\nkind: ConfigMap\n")
	write(t, "clusters/.git/old.yaml", "apiVersion: hapair/v1\n")
	return "clusters"
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestValidateFolder(t *testing.T) {
	dir := clusters(t, 10)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"validate", dir}, nil, &stdout, &stderr); code != exitstatus.No {
		t.Errorf("status %d, want 1", code)
	}
	if want := "clusters: 10 specs, 9 valid, 1 with errors, 0 warnings\n"; stdout.String() != want {
		t.Errorf("stdout is %q, want %q", stdout.String(), want)
	}
	for _, want := range []string{"clusters/west/c007.yaml:9:1: error: servces: ", "hint: did you mean \"services\"?", "note: clusters/notes.yaml is not a spec"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr has no %q:\n%s", want, stderr.String())
		}
	}
}

func TestValidateFolderJSON(t *testing.T) {
	dir := clusters(t, 10)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"validate", "--json", dir}, nil, &stdout, &stderr); code != exitstatus.No || stderr.Len() > 0 {
		t.Errorf("status %d, want 1; %s", code, stderr.String())
	}
	var list []outcome
	if err := json.Unmarshal(stdout.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 10 || !slices.IsSortedFunc(list, func(a, b outcome) int { return strings.Compare(a.Spec, b.Spec) }) {
		t.Errorf("%d outcomes, or not in order", len(list))
	}
	for _, o := range list {
		if bad := strings.HasSuffix(o.Spec, "c007.yaml"); o.Valid == bad || len(o.Problems) > 0 != bad {
			t.Errorf("%s: valid %v, %v", o.Spec, o.Valid, o.Problems)
		}
	}
}

func TestRenderFolder(t *testing.T) {
	dir := clusters(t, 10)
	for range 2 { // the second time, it replaces the files of the first
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"render", dir, "-o", "out"}, nil, &stdout, &stderr); code != exitstatus.No {
			t.Errorf("status %d, want 1: %s", code, stderr.String())
		}
		if want := "clusters: 10 specs, 9 rendered, 1 with errors, 0 warnings\n"; stdout.String() != want {
			t.Errorf("stdout is %q, want %q", stdout.String(), want)
		}
	}
	b, err := os.ReadFile("out/east/c008/b/etc/haproxy/haproxy.cfg")
	if err != nil || !bytes.Contains(b, []byte("10.8.0.21:80")) {
		t.Errorf("the files of another cluster: %v", err)
	}
	if _, err := os.Stat("out/west/c007"); err == nil {
		t.Error("a spec with errors was rendered")
	}
	if left, err := filepath.Glob("out/*/*/.render-*"); err != nil || left != nil {
		t.Errorf("temporary folders are left: %q", left)
	}
}

// TestTwoHundredClusters validates and renders as many clusters as a large installation has.
func TestTwoHundredClusters(t *testing.T) {
	needs.InWide(t, "TestEachSpecIsBounded measures fewer") // it takes half a minute on two processors
	dir := clusters(t, 200)
	for args, want := range map[string]string{"validate": "199 valid", "render -o out": "199 rendered"} {
		var stdout, stderr bytes.Buffer
		start := time.Now()
		if code := run(t.Context(), append(strings.Split(args, " "), dir), nil, &stdout, &stderr); code != exitstatus.No || !strings.Contains(stdout.String(), want) {
			t.Errorf("%s: status %d, %s%s", args, code, stdout.String(), stderr.String())
		}
		t.Logf("%s: %v", args, time.Since(start).Round(time.Millisecond))
	}
}

// TestEachSpecIsBounded checks that outcomes are told in order, and that only a few are in memory.
func TestEachSpecIsBounded(t *testing.T) {
	var specs []string
	for i := range 500 {
		specs = append(specs, fmt.Sprint(i))
	}
	var alive, most atomic.Int64
	var told []string
	err := eachSpec(t.Context(), specs, func(_ context.Context, path string) outcome {
		most.Store(max(most.Load(), alive.Add(1)))
		return outcome{Spec: path}
	}, func(o outcome) error {
		alive.Add(-1)
		told = append(told, o.Spec)
		return nil
	})
	if err != nil || !slices.Equal(told, specs) {
		t.Errorf("told %d of %d, or not in order: %v", len(told), len(specs), err)
	}
	if limit := int64(runtime.GOMAXPROCS(0) + 2); most.Load() > limit {
		t.Errorf("%d outcomes were in memory at once, want at most %d", most.Load(), limit)
	}
}

func TestFolderErrors(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Chdir(t.TempDir())
	write(t, "empty/other.yaml", "a: 1\n")
	write(t, "twice/a.yaml", "apiVersion: hapair/v1\n")
	write(t, "twice/a.yml", "apiVersion: hapair/v1\n")
	for line, want := range map[string]struct {
		code int
		text string
	}{
		"validate empty":               {exitstatus.Failure, "cannot find a spec in empty"},
		"render twice -o out":          {exitstatus.No, "both would be written to out/a"},
		"render twice -o out --node a": {exitstatus.Usage, "cannot use --node with the folder twice"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), strings.Split(line, " "), nil, &stdout, &stderr); code != want.code || !strings.Contains(stderr.String(), want.text) {
			t.Errorf("%s: status %d, %q", line, code, stderr.String())
		}
	}
}
