package recipe_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

const reloadSpec = `
apiVersion: hapair/v1
cluster: reload
nodes:
  - {name: a, address: 192.0.2.1/24, interface: eth0}
  - {name: b, address: 192.0.2.2/24, interface: eth0}
vips: [{name: v, address: 192.0.2.10/24}]
services:
  - name: web
    vip: v
    port: 80
    mode: http
    servers:
      - {name: drained, address: 192.0.2.21}
      - {name: moved, address: 192.0.2.22, port: 81}
      - {name: six, address: "2001:db8::23", port: 82}
      - {name: secured, address: 192.0.2.24, port: 83}
`

// TestReloadKeepsServerStates drains servers of a real haproxy, and reloads it with an edited file. The states must stay,
// except for what the edit changed. The same must hold if the previous file has a frontend and a backend for each service,
// as earlier versions of bake wrote it.
func TestReloadKeepsServerStates(t *testing.T) {
	for _, name := range cluster.Releases(t, release.Names()...) {
		for before, earlier := range map[string]func([]byte) []byte{
			"a listen": func(cfg []byte) []byte { return cfg }, "a frontend and a backend": split,
		} {
			t.Run(name+"/"+before, func(t *testing.T) { testReload(t, name, earlier) })
		}
	}
}

func testReload(t *testing.T, name string, earlier func([]byte) []byte) {
	s := parseBytes(t, "spec.yaml", []byte(reloadSpec))
	r, err := release.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, s, &s.Nodes[0], r)
	cfg, err := h.ReadFile(wellknown.HAProxyConfig)
	if err != nil {
		t.Fatal(err)
	}
	save := func(content []byte) {
		t.Helper()
		if err := h.WriteFile(deadline(t), wellknown.HAProxyConfig, 0o640, "root:haproxy", content); err != nil {
			t.Fatal(err)
		}
	}
	save(earlier(cfg))
	h.startHAProxy(t)
	for _, server := range []string{"drained", "moved", "six", "secured"} {
		h.ask(t, "set server web/"+server+" state drain")
	}

	cfg = bytes.Replace(cfg, []byte("server moved 192.0.2.22:81"), []byte("server moved 192.0.2.22:8181"), 1)
	cfg = bytes.Replace(cfg, []byte("192.0.2.24:83 check"), []byte("192.0.2.24:83 check ssl verify none"), 1)
	save(cfg)
	before := h.ask(t, "show info")
	if err := h.saveState(t); err != nil { // as ExecReload does
		t.Fatal(err)
	}
	h.must(t, "sh", "-c", "kill -USR2 $(cat /run/haproxy.pid)")
	eventually.True(t, patience, "a new worker answers", func() bool { return pidOf(h.ask(t, "show info")) != pidOf(before) })

	servers := serversOf(t, h.ask(t, "show servers state"))
	for name, want := range map[string]string{
		"drained": "drain 80 plain", "six": "drain 82 plain", "moved": "ready 8181 plain", "secured": "ready 83 tls",
	} {
		if got := servers[name]; got != want {
			t.Errorf("server %s is %q after the reload, want %q", name, got, want)
		}
	}
}

// split replaces the listen section of the service web by a frontend and a backend.
func split(cfg []byte) []byte {
	cfg = bytes.Replace(cfg, []byte("\nlisten web\n"), []byte("\nfrontend web\n"), 1)
	return bytes.Replace(cfg, []byte("    balance "), []byte("    default_backend web\n\nbackend web\n    mode http\n    balance "), 1)
}

// TestReloadAnswersKeptAliveConnections reloads a real haproxy while clients send requests over connections that they keep. Each
// request must be answered, also those that are on their way when the old process should end.
func TestReloadAnswersKeptAliveConnections(t *testing.T) {
	const answers = `
    lines:
      frontend: |
        bind /run/haproxy/clients.sock
        http-request return status 200 content-type text/plain string served
`
	for _, name := range cluster.Releases(t, release.Names()...) {
		t.Run(name, func(t *testing.T) {
			s := parseBytes(t, "spec.yaml", []byte(reloadSpec+answers))
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			h := newHost(t, s, &s.Nodes[0], r)
			h.startHAProxy(t)
			ctx, end := context.WithCancel(t.Context())
			defer end()
			var clients sync.WaitGroup
			var answered atomic.Int64
			for range 4 {
				clients.Go(func() {
					for ctx.Err() == nil {
						if err := askUntilClosed(ctx, fmt.Sprintf("/proc/%d/root/run/haproxy/clients.sock", h.PID()), &answered); err != nil {
							t.Errorf("after %d answers: %v", answered.Load(), err)
							return
						}
					}
				})
			}
			for range 8 {
				before := pidOf(h.ask(t, "show info"))
				h.must(t, "sh", "-c", "kill -USR2 $(cat /run/haproxy.pid)")
				eventually.True(t, patience, "a new worker answers", func() bool {
					now := pidOf(h.ask(t, "show info"))
					return now != 0 && now != before
				})
			}
			end()
			clients.Wait()
			if answered.Load() == 0 {
				t.Error("no request was answered")
			}
		})
	}
}

// askUntilClosed sends requests over one connection until an answer announces that haproxy will close it. It counts the answers.
// A request without an answer is an error.
func askUntilClosed(ctx context.Context, socket string, answered *atomic.Int64) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		time.Sleep(time.Millisecond) // a reload replaces the socket
		return nil
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for ctx.Err() == nil {
		req, err := http.NewRequest(http.MethodGet, "http://web/", nil)
		if err != nil {
			return err
		}
		if err := req.Write(conn); err != nil {
			return fmt.Errorf("cannot send a request: %w", err)
		}
		answer, err := http.ReadResponse(answers, req)
		if err != nil {
			return fmt.Errorf("no answer to a request: %w", err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
		answered.Add(1)
		if answer.Close {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// TestStateOfADeadHAProxyIsNotKept saves server states while haproxy does not run. An older state file must be removed.
func TestStateOfADeadHAProxyIsNotKept(t *testing.T) {
	s := parseBytes(t, "spec.yaml", []byte(reloadSpec))
	r, err := release.Get("trixie")
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, s, &s.Nodes[0], r)
	if err := h.WriteFile(deadline(t), wellknown.ServerState, 0o644, "", []byte("1\n")); err != nil {
		t.Fatal(err)
	}
	if err := h.saveState(t); err == nil {
		t.Error("states were saved without haproxy")
	}
	if h.has(wellknown.ServerState) {
		t.Error("the old state file still exists")
	}
}

// saveState saves the states of the host's servers for its current configuration.
func (h *host) saveState(t *testing.T) error {
	t.Helper()
	root := fmt.Sprintf("/proc/%d/root", h.PID())
	return haproxy.Socket(root+wellknown.AdminSocket).SaveState(deadline(t), root+wellknown.HAProxyConfig, root+wellknown.ServerState)
}

// startHAProxy runs haproxy like its unit, on a host that has not been booted.
func (h *host) startHAProxy(t *testing.T) {
	t.Helper()
	h.must(t, "sysctl", "-qp", "/etc/sysctl.d/60-hapair.conf")
	h.must(t, "mkdir", "-p", "/run/haproxy")
	cmd := h.Command(t.Context(), "haproxy", "-Ws", "-f", wellknown.HAProxyConfig, "-p", "/run/haproxy.pid", "-S", "/run/haproxy-master.sock")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	eventually.True(t, patience, "haproxy answers", func() bool { return h.has("/run/haproxy/admin.sock") && pidOf(h.ask(t, "show info")) != 0 })
}

// ask sends a command to haproxy's admin socket. An empty answer means that haproxy does not answer.
func (h *host) ask(t *testing.T, command string) string {
	t.Helper()
	out, status, err := h.Run(deadline(t), "sh", "-c", `echo "$1" | socat -t 5 /run/haproxy/admin.sock -`, "sh", command)
	if err != nil {
		t.Fatal(err)
	}
	if status != 0 {
		return ""
	}
	return out
}

// pidOf returns the worker's PID in an answer to "show info".
func pidOf(info string) int {
	for line := range strings.Lines(info) {
		if pid, ok := strings.CutPrefix(line, "Pid: "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(pid))
			return n
		}
	}
	return 0
}

// serversOf parses "show servers state" (management.txt) and returns admin state, port and TLS of each server.
func serversOf(t *testing.T, answer string) map[string]string {
	t.Helper()
	servers := map[string]string{}
	for line := range strings.Lines(answer) {
		f := strings.Fields(line)
		if len(f) < 21 || f[0] == "#" {
			continue
		}
		admin, err := strconv.Atoi(f[6])
		if err != nil {
			t.Fatalf("cannot read %q", line)
		}
		state, tls := "ready", "plain"
		if admin&0x08 != 0 { // SRV_ADMF_FDRAIN
			state = "drain"
		}
		if f[20] == "1" {
			tls = "tls"
		}
		servers[f[3]] = fmt.Sprintf("%s %s %s", state, f[18], tls)
	}
	return servers
}
