package agent_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
)

// TestServers is what an agent does about the servers of haproxy's backends.
func TestServers(t *testing.T) {
	n := newNode(t, "noble")
	n.settled()
	n.must("systemd-run", "--unit=alive", "socat", "TCP-LISTEN:7001,bind=127.0.0.1,fork,reuseaddr", "SYSTEM:true")
	for _, part := range []struct {
		name string
		test func(t *testing.T, n *node)
	}{
		{"a backend keeps a server", testKeepsServer},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, &node{n.Host, t}) })
	}
}

// backends returns haproxy.cfg with backends that have one server each, by name. It replaces those of an earlier call.
func (n *node) backends(servers map[string]string) string {
	const mark = "\n# backends of the test\n"
	conf, _, _ := strings.Cut(n.read(haproxyCfg), mark)
	conf += mark
	for name, server := range servers {
		conf += fmt.Sprintf("backend %s\n    mode tcp\n    server s %s\n", name, server)
	}
	return conf
}

func testKeepsServer(t *testing.T, n *node) {
	edit := func(want journal.Verdict, reason string, servers map[string]string) journal.Change {
		t.Helper()
		before, err := n.status()
		if err != nil {
			t.Fatal(err)
		}
		n.save(haproxyCfg, n.backends(servers))
		c := n.change(before.LastChange.Number)
		if c.Verdict != want || !strings.Contains(c.Reason, reason) {
			t.Fatalf("%v: %s %q, want %s with %q", servers, c.Verdict, c.Reason, want, reason)
		}
		return c
	}
	const alive, dead = "127.0.0.1:7001 check inter 300ms", "127.0.0.1:7009 check inter 300ms"
	edit(journal.Proven, "", map[string]string{"a": alive, "b": dead}) // new backends need no server
	took, err := time.ParseDuration(edit(journal.Proven, "", map[string]string{"a": alive, "b": dead, "c": alive}).Took)
	if err != nil || took > 5*time.Second {
		t.Errorf("a change that edits no backend took %v, %v", took, err)
	}
	n.upWhenChecked("a")
	edit(journal.Proven, "", map[string]string{"a": alive + " weight 5", "b": dead + " weight 5"})
	n.upWhenChecked("a")

	good := n.read(haproxyCfg)
	edit(journal.RolledBack, `backend "a" had a server up before this change, and has none now: s is DOWN L4CON`, map[string]string{"a": dead, "b": dead})
	if n.read(haproxyCfg) != good {
		t.Error("the last known good file is not back")
	}
	n.upWhenChecked("a")
	edit(journal.RolledBack, `backend "a" had a server up before this change, and has none now`, map[string]string{"a": strings.Replace(alive, "check", "check port 7009", 1), "b": dead})
	n.upWhenChecked("a")
	edit(journal.Proven, "", map[string]string{"a": alive + " disabled", "b": dead}) // an operator takes the server out
	edit(journal.Proven, "", map[string]string{"a": alive, "b": dead})
	n.upWhenChecked("a")

	// The operator says that it is meant.
	n.must("mkdir", "-p", "/root/new/etc/haproxy")
	n.write("/root/new"+haproxyCfg, 0o640, []byte(n.backends(map[string]string{"a": dead, "b": dead})))
	if out, status, err := n.Run(t.Context(), "ha-agent", "apply", "/root/new"); err != nil || status != 1 || !strings.Contains(out, "rolled back") {
		t.Errorf("apply: exit status %d, %v\n%s", status, err, out)
	}
	n.upWhenChecked("a")
	n.must("ha-agent", "apply", "--allow-no-servers", "/root/new")
	edit(journal.Proven, "", map[string]string{"a": alive, "b": dead})
	n.upWhenChecked("a")

	// An outage during a change that does not edit the backend has another cause.
	n.must("systemctl", "stop", "alive")
	edit(journal.Proven, "", map[string]string{"a": alive, "b": dead + " weight 7"})
}

// upWhenChecked waits until haproxy itself has checked the server of a backend and finds it up.
func (n *node) upWhenChecked(backend string) {
	n.t.Helper()
	n.eventually("the server of "+backend+" is up", func() error {
		out, _, err := n.Run(n.t.Context(), "sh", "-c", `echo "show stat `+backend+` 4 -1" | socat - /run/haproxy/admin.sock | cut -d, -f18,37`)
		if err == nil && !strings.Contains(out, "UP,L4OK") {
			err = fmt.Errorf("it is %q", out)
		}
		return err
	})
}
