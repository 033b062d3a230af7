package target

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/systemd"

	"github.com/hapair/hapair/internal/testing/haproxytest"
)

// master is haproxy's master with its list of processes, which a reload replaces.
type master struct {
	mu      sync.Mutex
	table   string
	after   string // the list after a reload
	started time.Time
	reloads int
	logs    string
}

func (m *master) Restart(context.Context, string) error { panic("haproxy is reloaded, not restarted") }

func (m *master) Reload(context.Context, string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reloads++
	m.table = m.after
	return nil
}

func (m *master) Service(context.Context, string) (systemd.Unit, error) {
	return systemd.Unit{Active: "active", MainPID: 4, Started: m.started}, nil
}

func (m *master) answer(command string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var pid int
	switch {
	case command == "show proc":
		return m.table
	case command == "show startup-logs":
		return m.logs
	case !strings.HasSuffix(command, " show info"):
		return "Unknown command"
	}
	fmt.Sscanf(command, "@!%d", &pid)
	return haproxytest.Info(pid, 0)
}

func (m *master) target(t *testing.T) *HAProxy {
	t.Helper()
	socket := haproxytest.Answering(t, m.answer)
	return &HAProxy{conf: config.HAProxy{Unit: "haproxy.service", MasterSocket: socket}, units: m}
}

const (
	table24  = "#<PID> <type> <relative PID> <reloads> <uptime> <version>\n"
	table26  = "#<PID> <type> <reloads> <uptime> <version>\n"
	fresh24  = table24 + "4 master 0 0 0d 2.4.30\n# workers\n7 worker 1 0 0d 2.4.30\n"
	fresh26  = table26 + "4 master 0 [failed: 0] 0d 2.6\n# workers\n7 worker 0 0d 2.6\n"
	good24   = table24 + "4 master 0 1 0d 2.4.30\n# workers\n9 worker 1 0 0d 2.4.30\n# old workers\n7 worker [was: 1] 1 0d 2.4.30\n"
	good26   = table26 + "4 master 1 [failed: 0] 0d 2.6\n# workers\n9 worker 0 0d 2.6\n# old workers\n7 worker 1 0d 2.6\n"
	again26  = table26 + "4 master 2 [failed: 0] 0d 2.6\n# workers\n9 worker 0 0d 2.6\n"
	failed24 = table24 + "4 master 0 1 0d 2.4.30\n# workers\n# old workers\n7 worker [was: 1] 1 0d 2.4.30\n"
	failed26 = table26 + "4 master 1 [failed: 1] 0d 2.6\n# workers\n7 worker 1 0d 2.6\n"
)

func TestMasterProvesAReload(t *testing.T) {
	edited := time.Unix(1000, 0)
	tests := map[string]struct {
		m       *master
		reloads int
		want    string // part of the error; empty if the reload is proven
	}{
		"2.6, a new worker":       {&master{table: fresh26, after: good26}, 1, ""},
		"2.4, a new worker":       {&master{table: fresh24, after: good24}, 1, ""},
		"2.6, the old one stays":  {&master{table: fresh26, after: failed26, logs: "[NOTICE] x\n[ALERT] cannot bind\n"}, 1, "[ALERT] cannot bind"},
		"2.4, the old one stays":  {&master{table: fresh24, after: failed24}, 1, "could not start a worker"},
		"started after the edit":  {&master{table: fresh26, started: edited.Add(time.Second)}, 0, ""},
		"but its reload failed":   {&master{table: failed26, after: again26, started: edited.Add(time.Second)}, 1, ""},
		"started before the edit": {&master{table: fresh26, after: good26, started: edited.Add(-time.Second)}, 1, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			target := tt.m.target(t)
			err := target.Take(t.Context(), edited)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Take = %v, want %q", err, tt.want)
			}
			if tt.m.reloads != tt.reloads {
				t.Errorf("reloaded %d times, want %d", tt.m.reloads, tt.reloads)
			}
		})
	}
}

func TestReloadWithoutEffectIsNoProof(t *testing.T) {
	m := &master{table: fresh26, after: fresh26}
	target := m.target(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := target.Take(ctx, time.Unix(1000, 0)); err == nil || !strings.Contains(err.Error(), "has not reloaded") {
		t.Errorf("Take = %v, want that haproxy has not reloaded", err)
	}
}

// The agent must watch all files that haproxy reads, including those that are added to a directory of certificates.
func TestPathsOfDirectoriesAndFiles(t *testing.T) {
	dir := t.TempDir()
	certs := filepath.Join(dir, "certs") + "/"
	if err := os.MkdirAll(filepath.Join(certs, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	h := &HAProxy{conf: config.HAProxy{Config: filepath.Join(dir, "haproxy.cfg"), Certificates: []string{certs, "/one.pem"}, Files: []string{"/a.map"}}}
	want := []string{h.conf.Config, "/one.pem", "/a.map"}
	if got := h.Paths(); !slices.Equal(got, want) {
		t.Errorf("Paths with an empty directory = %q, want %q", got, want)
	}
	for _, name := range []string{"b.pem", "a.pem", ".placeholder.x"} {
		if err := os.WriteFile(certs+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want = []string{h.conf.Config, certs + "a.pem", certs + "b.pem", "/one.pem", "/a.map"}
	if got := h.Paths(); !slices.Equal(got, want) {
		t.Errorf("Paths = %q, want %q", got, want)
	}
	h.conf.Certificates = []string{dir + "/missing/"}
	if got := h.Paths(); len(got) != 2 {
		t.Errorf("Paths with a missing directory = %q", got)
	}
}
