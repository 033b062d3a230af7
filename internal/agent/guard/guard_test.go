package guard

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/internal/validator"
)

// guarded is a machine with temporary files. Its haproxy and keepalived judge a file by its first word: bad, none, missing
// (an interface is missing) or anything else.
type guarded struct {
	node  target.Node
	store string
	t     *testing.T
	conf  string // haproxy.cfg
	cert  string
	keep  string // keepalived.conf
	asks  int
	log   bytes.Buffer
	// before is called at the beginning of each validation.
	before func()
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	needs.Lab(t)
	dir := t.TempDir()
	g := &guarded{t: t, conf: filepath.Join(dir, "haproxy.cfg"), cert: filepath.Join(dir, "site.pem"), keep: filepath.Join(dir, "keepalived.conf"), before: func() {}}
	g.store = filepath.Join(dir, "store")
	g.node = target.Node{Run: g.run, ProcSys: "/proc/sys", Store: store.At(g.store),
		Conf: &config.Config{
			HAProxy:    config.HAProxy{Config: g.conf, Certificates: []string{g.cert}},
			Keepalived: config.Keepalived{Config: g.keep},
			Sysctl:     config.Sysctl{File: filepath.Join(dir, "60-hapair.conf")},
		},
	}
	g.put(g.conf, "good", 0o640)
	if err := os.Chown(g.conf, 0, 1); err != nil {
		t.Fatal(err)
	}
	g.put(g.cert, "good", 0o600)
	g.put(g.keep, "good", 0o600)
	return g
}

// run judges the file named last, together with the certificate or the includes, as the real programs do.
func (g *guarded) run(_ context.Context, name string, args ...string) (validator.Result, error) {
	g.asks++
	g.before()
	path := args[len(args)-1]
	files := []string{path}
	if name == "haproxy" {
		files = append(files, g.cert)
	} else if more, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "include-*.conf")); more != nil {
		files = append(files, more...)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		switch word := string(b); {
		case err != nil, strings.HasPrefix(word, "bad"):
			return validator.Result{Status: 1, Output: "[ALERT] " + f + " is bad\n"}, nil
		case strings.HasPrefix(word, "none"):
			return validator.Result{Status: 143}, nil
		case strings.HasPrefix(word, "missing"):
			return validator.Result{Status: 5, Output: "(" + f + ": Line 4) WARNING - interface eth9 for vrrp_instance VI_a doesn't exist\nNon-existent interface specified in configuration\n"}, nil
		}
	}
	return validator.Result{}, nil
}

func (g *guarded) put(path, content string, mode fs.FileMode) {
	g.t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guarded) want(path, content string) {
	g.t.Helper()
	b, err := os.ReadFile(path)
	if content == "" && os.IsNotExist(err) {
		return
	}
	if err != nil || string(b) != content {
		g.t.Errorf("%s contains %q, want %q (%v)", path, b, content, err)
	}
}

// of returns the guard of a target.
func (g *guarded) of(name string) *Guard {
	g.t.Helper()
	t, err := g.node.Target(name)
	if err != nil {
		g.t.Fatal(err)
	}
	return &Guard{Target: t, Store: g.store, Now: time.Now, Log: slog.New(slog.NewTextHandler(&g.log, nil))}
}

// prove makes the present files the last known good ones of a target.
func (g *guarded) prove(name string) {
	g.t.Helper()
	s, err := store.Open(g.store)
	if err != nil {
		g.t.Fatal(err)
	}
	of, err := g.node.Target(name)
	if err != nil {
		g.t.Fatal(err)
	}
	now, err := target.Read(of.Paths())
	if err != nil {
		g.t.Fatal(err)
	}
	if err := s.Commit(map[string]store.Good{name: {Generation: 1, Files: now.Files}}); err != nil {
		g.t.Fatal(err)
	}
}

// aside returns the paths of the files that were set aside.
func (g *guarded) aside() []string {
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(g.conf), "*.rejected-*"))
	return found
}

func TestGuardReplacesOnlyBadFilesByGoodOnes(t *testing.T) {
	tests := map[string]struct {
		conf, cert string // content of the files before the start; "-" if there is no file
		good       string // verdict on the last known good file at this start
		proven     bool
		after      string // content of haproxy.cfg after the guard
		asks       int
		told       bool
	}{
		"all as proven":             {conf: "good", cert: "good", proven: true, after: "good"},
		"new and good":              {conf: "newer", cert: "good", proven: true, after: "newer", asks: 1},
		"bad":                       {conf: "bad", cert: "good", proven: true, after: "good", asks: 2, told: true},
		"empty":                     {conf: " \n", cert: "good", proven: true, after: "good", asks: 1, told: true},
		"missing":                   {conf: "-", cert: "good", proven: true, after: "good", asks: 1, told: true},
		"its certificate is bad":    {conf: "good", cert: "bad", proven: true, after: "good", asks: 2, told: true},
		"its certificate is gone":   {conf: "good", cert: "-", proven: true, after: "good", asks: 2, told: true},
		"no verdict":                {conf: "none", cert: "good", proven: true, after: "none", asks: 1},
		"nothing was proven":        {conf: "bad", cert: "good", after: "bad"},
		"the good one is bad now":   {conf: "bad, too", cert: "good", good: "bad", proven: true, after: "bad, too", asks: 2},
		"no verdict of the good":    {conf: "bad", cert: "good", good: "none", proven: true, after: "bad", asks: 2},
		"missing, and good not now": {conf: "-", cert: "good", good: "bad", proven: true, after: "", asks: 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := newGuarded(t)
			good := "good"
			if tt.good != "" {
				good = tt.good
				g.put(g.conf, good, 0o640)
			}
			if tt.proven {
				g.prove("haproxy")
			}
			for path, content := range map[string]string{g.conf: tt.conf, g.cert: tt.cert} {
				if content == "-" {
					os.Remove(path)
				} else {
					g.put(path, content, 0o600)
				}
			}
			err := g.of("haproxy").BeforeStart(t.Context())
			g.want(g.conf, tt.after)
			if g.asks != tt.asks {
				t.Errorf("the guard validated %d times, want %d", g.asks, tt.asks)
			}
			changes, _ := store.At(g.store).Changes()
			if !tt.told {
				if len(changes) > 0 || g.aside() != nil {
					t.Errorf("changes %+v, files set aside %v; want none", changes, g.aside())
				}
				return
			}
			g.want(g.cert, "good")
			if err != nil || len(changes) != 1 || changes[0].Verdict != journal.RolledBack || changes[0].Number != 1 || fmt.Sprint(changes[0].Targets) != "[haproxy]" {
				t.Fatalf("BeforeStart: %v, changes %+v; want change 1 of haproxy rolled back", err, changes)
			}
			for _, a := range g.aside() {
				if !strings.Contains(changes[0].Reason, a) || !strings.Contains(g.log.String(), a) {
					t.Errorf("%s is missing in the reason %q or in the log:\n%s", a, changes[0].Reason, &g.log)
				}
			}
			if f, _, err := target.ReadFile(g.conf); err != nil || f.Mode != 0o640 || f.UID != 0 || f.GID != 1 {
				t.Errorf("haproxy.cfg has mode %v, user %d, group %d (%v); want those of the proven file", f.Mode, f.UID, f.GID, err)
			}
		})
	}
}

func TestGuardKeepsFileThatOnlyLacksAnInterface(t *testing.T) {
	g := newGuarded(t)
	g.prove("keepalived")
	g.put(g.keep, "missing", 0o600)
	if err := g.of("keepalived").BeforeStart(t.Context()); err == nil || !strings.Contains(err.Error(), "no verdict") {
		t.Errorf("BeforeStart: %v, want no verdict", err)
	}
	g.want(g.keep, "missing")
	if err := g.of("keepalived").BeforeReload(t.Context()); err == nil || !strings.Contains(err.Error(), "eth9") {
		t.Errorf("BeforeReload: %v, want the missing interface", err)
	}
}

// TestReloadTestsOnce reloads files that the agent has tested for a change, and then others.
func TestReloadTestsOnce(t *testing.T) {
	g := newGuarded(t)
	g.prove("haproxy")
	guard := g.of("haproxy")
	files, err := target.Read(guard.Target.Paths())
	if err != nil {
		t.Fatal(err)
	}
	reload := func(what string, asks int, refused bool) {
		t.Helper()
		g.asks = 0
		if err := guard.BeforeReload(t.Context()); (err != nil) != refused || g.asks != asks {
			t.Errorf("%s: %d tests, error %v; want %d, refused %v", what, g.asks, err, asks, refused)
		}
	}
	reload("by a person", 1, false)
	if err := store.At(g.store).Begin(store.Begun{Targets: []string{"haproxy"}, Tested: map[string]string{"haproxy": files.Digest}}); err != nil {
		t.Fatal(err)
	}
	reload("by the agent", 0, false)
	g.put(g.cert, "bad", 0o600)
	reload("by the agent, with files that changed meanwhile", 1, true)
	g.put(g.cert, "good", 0o600)
	if err := store.At(g.store).Begin(store.Begun{Targets: []string{"haproxy"}, Back: true}); err != nil {
		t.Fatal(err)
	}
	reload("by the agent, during a rollback", 1, false)
}

func TestGuardSetsOnlyBadIncludesAside(t *testing.T) {
	for content, stays := range map[string]bool{"good, too": true, "bad": false} {
		g := newGuarded(t)
		g.put(g.keep, "good\ninclude include-*.conf\n", 0o600)
		g.prove("keepalived")
		extra := filepath.Join(filepath.Dir(g.keep), "include-a.conf")
		g.put(extra, content, 0o600)
		g.put(g.keep, "bad", 0o600)
		if err := g.of("keepalived").BeforeStart(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.want(g.keep, "good\ninclude include-*.conf\n")
		if stays {
			g.want(extra, content)
		} else if g.want(extra, ""); len(g.aside()) != 2 {
			t.Errorf("files set aside: %v, want two", g.aside())
		}
	}
}

func TestGuardKeepsFileSavedMeanwhile(t *testing.T) {
	g := newGuarded(t)
	g.prove("haproxy")
	g.put(g.conf, "bad", 0o640)
	g.before = func() {
		if g.asks == 2 { // while the guard validates the last known good file
			// The file is renamed by another thread, because the guard mounts another file over it in a namespace of its own
			// thread.
			renamed := make(chan error)
			go func() {
				g.put(g.conf+"~", "saved meanwhile", 0o640)
				renamed <- os.Rename(g.conf+"~", g.conf)
			}()
			if err := <-renamed; err != nil {
				t.Error(err)
			}
		}
	}
	err := g.of("haproxy").BeforeStart(t.Context())
	if err == nil || !strings.Contains(err.Error(), "changed meanwhile") {
		t.Errorf("BeforeStart: %v, want that the file changed meanwhile\n%s", err, &g.log)
	}
	g.want(g.conf, "saved meanwhile")
}

func TestGuardSetsDanglingLinkAside(t *testing.T) {
	g := newGuarded(t)
	g.prove("haproxy")
	os.Remove(g.conf)
	if err := os.Symlink("nowhere", g.conf); err != nil {
		t.Fatal(err)
	}
	if err := g.of("haproxy").BeforeStart(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.want(g.conf, "good")
	if a := g.aside(); len(a) != 1 {
		t.Errorf("files set aside: %v, want one", a)
	} else if to, err := os.Readlink(a[0]); to != "nowhere" {
		t.Errorf("the link that was set aside points to %q (%v), want nowhere", to, err)
	}
}
