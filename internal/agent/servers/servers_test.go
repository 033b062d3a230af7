package servers

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/testing/haproxytest"
)

// fake is a haproxy with two servers that records commands.
type fake struct {
	mu  sync.Mutex
	pid int
	set map[string]string // by server
}

var setServer = regexp.MustCompile(`^@!(\d+) set server (\S+) (.*)$`)

func (f *fake) answer(command string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if command == "show proc" {
		return fmt.Sprintf("#<PID> <type> <reloads> <uptime> <version>\n4 master 1 [failed: 0] 0d 2.6\n# workers\n%d worker 0 0d 2.6\n", f.pid)
	}
	m := setServer.FindStringSubmatch(command)
	switch {
	case m == nil || m[1] != fmt.Sprint(f.pid):
		return "Unknown command\n"
	case m[2] != "web/w1" && m[2] != "web/w2":
		return "No such server.\n\n"
	}
	f.set[m[2]] += m[3] + ";"
	return "\n"
}

// restart makes haproxy another process without the states that were set.
func (f *fake) restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pid++
	f.set = map[string]string{}
}

func (f *fake) has(server string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.set[server]
}

func TestStatesSurvive(t *testing.T) {
	f := &fake{pid: 7, set: map[string]string{}}
	socket := haproxytest.Answering(t, f.answer)
	file := filepath.Join(t.TempDir(), "servers.json")
	open := func() *Keeper {
		k := &Keeper{File: file, Master: haproxy.Socket(socket), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(1, 0) }}
		if err := k.Load(); err != nil {
			t.Fatal(err)
		}
		return k
	}
	k := open()
	ask := func(action, server string, weight int) control.ServerDone {
		t.Helper()
		done, err := k.Answer(t.Context(), control.ServerRequest{Action: action, Backend: "web", Server: server, Weight: weight})
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	if done := ask(control.ServerDrain, "none", 0); !strings.Contains(done.Refused, "No such server") || len(k.List()) != 0 {
		t.Errorf("drain of an unknown server: %+v, want it refused", done)
	}
	if done := ask(control.ServerDrain, "w2", 0); done.Set != "drain" {
		t.Errorf("drain = %+v", done)
	}
	if done := ask(control.ServerWeight, "w2", 0); done.Set != "drain, weight 0" {
		t.Errorf("weight = %+v", done)
	}
	if done := ask(control.ServerDisable, "w1", 0); done.Set != "disable" || len(done.Kept) != 2 {
		t.Errorf("disable = %+v", done)
	}
	k.look(t.Context())
	if got := f.has("web/w1"); got != "state maint;" {
		t.Errorf("w1 was set to %q although haproxy was not restarted", got)
	}

	f.restart()
	k = open() // the agent was restarted too
	k.look(t.Context())
	if got, want := f.has("web/w2")+f.has("web/w1"), "weight 0;state drain;state maint;"; got != want {
		t.Errorf("after a restart of haproxy, %q was set, want %q", got, want)
	}

	if done := ask(control.ServerReady, "w2", 0); done.Set != "ready" || len(done.Kept) != 1 {
		t.Errorf("ready = %+v", done)
	}
	if got, want := f.has("web/w2"), "weight 0;state drain;state ready;weight 100%;"; got != want {
		t.Errorf("after another restart, %q was set, want %q", got, want)
	}
	f.restart()
	k = open()
	k.look(t.Context())
	if got := f.has("web/w2"); got != "" {
		t.Errorf("after ready, the server was set to %q", got)
	}
}

// TestStateOfARemovedServer removes a server from the configuration. Its state must be kept with a reason, until the
// operator makes it ready.
func TestStateOfARemovedServer(t *testing.T) {
	f := &fake{pid: 7, set: map[string]string{}}
	k := &Keeper{File: filepath.Join(t.TempDir(), "servers.json"), Master: haproxy.Socket(haproxytest.Answering(t, f.answer)), Log: slog.New(slog.DiscardHandler),
		Now: time.Now, states: []control.ServerState{{Backend: "web", Server: "old", State: control.ServerDrain}}}
	k.look(t.Context())
	if why := k.List()[0].Why; !strings.Contains(why, "No such server") {
		t.Errorf("the reason for the removed server is %q", why)
	}
	if done, err := k.Answer(t.Context(), control.ServerRequest{Action: control.ServerReady, Backend: "web", Server: "old"}); err != nil || len(done.Kept) != 0 {
		t.Errorf("ready of the removed server = %+v, %v", done, err)
	}
}

func TestBadRequests(t *testing.T) {
	f := &fake{pid: 7, set: map[string]string{}}
	k := &Keeper{File: filepath.Join(t.TempDir(), "servers.json"), Master: haproxy.Socket(haproxytest.Answering(t, f.answer)), Now: time.Now}
	for _, req := range []control.ServerRequest{
		{Action: control.ServerDrain, Backend: "web", Server: "w1 state ready"},
		{Action: control.ServerDrain, Backend: "", Server: "w1"},
		{Action: control.ServerWeight, Backend: "web", Server: "w1", Weight: 257},
		{Action: "explode", Backend: "web", Server: "w1"},
	} {
		if done, err := k.Answer(t.Context(), req); err == nil {
			t.Errorf("request %+v = %+v, want an error", req, done)
		}
	}
	if f.has("web/w1") != "" {
		t.Errorf("an invalid request set %q", f.has("web/w1"))
	}
}
