package recipe_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/check"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

const statsSpec = `
apiVersion: hapair/v1
cluster: stats
nodes:
  - {name: a, address: 192.0.2.1/24, interface: eth0}
  - {name: b, address: 192.0.2.2/24, interface: eth0}
vips: [{name: v, address: 192.0.2.10/24}]
stats: {user: admin, password: {env: PW}, allow: [198.18.9.0/24]}
services:
  - {name: web, vip: v, port: 80, mode: http, servers: [{name: w, address: 192.0.2.21}]}
`

// statsPage is the stats page of a host or sandbox.
type statsPage struct {
	t       *testing.T
	pid     int // a process in its network namespace
	address string
}

// TestStatsPageUnderAttack guesses passwords over a thousand connections, from one source and from many. Meanwhile haproxy
// must answer the check and the clients that may see the page.
func TestStatsPageUnderAttack(t *testing.T) {
	for _, name := range cluster.Span(t) {
		t.Run(name, func(t *testing.T) {
			s := parseBytes(t, "spec.yaml", []byte(statsSpec))
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			h := newHost(t, s, &s.Nodes[0], r)
			h.must(t, "ip", "route", "add", "local", "198.18.0.0/16", "dev", "lo") // addresses of the clients
			h.startHAProxy(t)
			page := statsPage{t, h.PID(), "192.0.2.1:1936"}
			if got := page.get("198.18.1.1", "/", "nobody", "x"); got != 401 {
				t.Fatalf("a wrong password: status %d, want 401", got)
			}
			t.Run("one source", func(t *testing.T) {
				got := page.attack(func(int) string { return "198.18.2.1" })
				// ten, and those that were answered at the same time on other connections
				if got[401] > 10+3 || got[200] > 0 || got[429] == 0 {
					t.Errorf("answers by status: %v; want 401 at most 13 times, and otherwise 429 or a closed connection", got)
				}
				if status := page.get("198.18.2.1", "/", "admin", secret); status != 429 {
					t.Errorf("the source that guessed got status %d, want 429", status)
				}
			})
			t.Run("many sources", func(t *testing.T) {
				got := page.attack(func(n int) string { return fmt.Sprintf("198.18.%d.%d", 10+n%100, 1+n/100) })
				if got[200] > 0 {
					t.Errorf("answers by status: %v; want no 200", got)
				}
			})
		})
	}
}

// TestStatsPageUnderAttackOnAHost guesses passwords on a node with the agent and keepalived. The VIP must not move.
func TestStatsPageUnderAttackOnAHost(t *testing.T) {
	s := parseBytes(t, "spec.yaml", []byte(strings.NewReplacer("192.0.2.1/24, interface: eth0", "192.168.56.101/24, interface: eth3",
		"192.0.2.2/24, interface: eth0", "192.168.56.102/24, interface: eth3", "192.0.2.10/24", "192.168.1.32/24, interface: eth4").Replace(statsSpec)))
	for _, name := range cluster.Releases(t, "noble") {
		t.Run(name, func(t *testing.T) {
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			h := bootHost(t, s, &s.Nodes[0], r)
			eventually.True(t, patience, "it holds the VIP", h.holdsVIP)
			h.must(t, "ip", "route", "add", "local", "198.18.0.0/16", "dev", "lo")
			h.must(t, "sh", "-c", asCheckUser+"ha-agent check")
			if out, status, err := h.Run(deadline(t), "sh", "-c", noGroups+"ha-agent check"); err != nil || status != 1 || !strings.Contains(out, "permission denied") {
				t.Errorf("ha-agent check as a user without groups: status %d, %v\n%s", status, err, out)
			}
			pid, err := h.Leader()
			if err != nil {
				t.Fatal(err)
			}
			page := statsPage{t, pid, "192.168.56.101:1936"}
			page.attack(func(int) string { return "198.18.2.1" })
			page.attack(func(n int) string { return fmt.Sprintf("198.18.%d.%d", 10+n%100, 1+n/100) })
			h.steadilyHoldsVIP(t)
		})
	}
}

// attack opens a thousand connections with a wrong password, and returns the number of answers by status; 0 counts
// connections without an answer. Meanwhile it queries haproxy as ha-agent check does, as a Prometheus in stats.allow, and as
// a user who logs in.
func (p statsPage) attack(source func(n int) string) map[int]int {
	t := p.t
	t.Helper()
	const connections, atOnce = 1000, 200
	got := map[int]int{}
	var mu sync.Mutex
	var next atomic.Int64
	var attackers sync.WaitGroup
	for range atOnce {
		attackers.Go(func() {
			inNetwork(t, p.pid, func() {
				for n := int(next.Add(1)); n <= connections; n = int(next.Add(1)) {
					status, _ := p.exchange(source(n), "/", "admin", fmt.Sprint("wrong", n))
					mu.Lock()
					got[status]++
					mu.Unlock()
				}
			})
		})
	}
	over := make(chan struct{})
	go func() { attackers.Wait(); close(over) }()
	checks, failed, failing, slowest, scrapes := 0, 0, 0, time.Duration(0), 0
	start := time.Now()
	for done := false; !done; {
		began := time.Now()
		err := check.Check(fmt.Sprintf("/proc/%d/root%s", p.pid, wellknown.CheckSocket), "/nonexistent", 500*time.Millisecond)
		switch {
		case err == nil:
			failing = 0
		default:
			failed, failing = failed+1, failing+1
			if failing == 2 { // "fall 2" in keepalived.conf
				t.Errorf("the check failed twice in a row, so the VIP would move: %v", err)
			}
		}
		checks, slowest = checks+1, max(slowest, time.Since(began))
		if status := p.get("198.18.9.1", "/metrics", "", ""); status != http.StatusOK {
			t.Errorf("a Prometheus of stats.allow got status %d", status)
		}
		scrapes++
		select {
		case <-over:
			done = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	if status := p.get("198.18.3.1", "/", "admin", secret); status != http.StatusOK {
		t.Errorf("the right password from another source: status %d", status)
	}
	t.Logf("%d connections in %v: by status %v; %d of %d checks failed, the slowest took %v; %d scrapes", connections,
		time.Since(start).Round(time.Millisecond), got, failed, checks, slowest.Round(time.Millisecond), scrapes)
	return got
}

// get requests a page from a source address, and returns the status.
func (p statsPage) get(source, path, user, password string) (status int) {
	p.t.Helper()
	var err error
	inNetwork(p.t, p.pid, func() { status, err = p.exchange(source, path, user, password) })
	if err != nil {
		p.t.Errorf("GET %s from %s: %v", path, source, err)
	}
	return status
}

// exchange sends a request over a new connection. It runs on the calling thread, which is in the right namespace.
func (p statsPage) exchange(source, path, user, password string) (int, error) {
	conn, err := from(source).Dial("tcp", p.address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	req, err := http.NewRequest(http.MethodGet, "http://"+p.address+path, nil)
	if err != nil {
		return 0, err
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	req.Close = true
	if err := req.Write(conn); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

const noGroups = "setpriv --reuid=nobody --regid=nogroup --clear-groups "

// TestSocketsOfHAProxy uses the sockets of a real haproxy as several users, and keeps connections to them open.
func TestSocketsOfHAProxy(t *testing.T) {
	for _, name := range cluster.Span(t) {
		t.Run(name, func(t *testing.T) {
			s := parseBytes(t, "spec.yaml", []byte(statsSpec))
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			h := newHost(t, s, &s.Nodes[0], r)
			if err := h.WriteFile(deadline(t), "/usr/bin/ha-agent", 0o755, "root:root", gotool.Agent(t)); err != nil {
				t.Fatal(err)
			}
			h.startHAProxy(t)

			for _, socket := range []string{wellknown.CheckSocket, wellknown.AdminSocket, "/run/haproxy-master.sock"} {
				out, status, err := h.Run(deadline(t), "sh", "-c", noGroups+"socat -u /dev/null UNIX-CONNECT:"+socket)
				if err != nil || status == 0 || !strings.Contains(out, "Permission denied") {
					t.Errorf("a user without groups opens %s: status %d, %v\n%s", socket, status, err, out)
				}
			}
			for _, socket := range []string{wellknown.AdminSocket, "/run/haproxy-master.sock"} {
				if out, status, err := h.Run(deadline(t), "sh", "-c", asCheckUser+"socat -u /dev/null UNIX-CONNECT:"+socket); err != nil || status == 0 {
					t.Errorf("%s opens %s: %v\n%s", wellknown.CheckUser, socket, err, out)
				}
			}
			h.checkAnswers(t)

			hold := func(n int) (release func()) {
				var held []net.Conn
				for range n {
					// a socket with a full backlog does not accept a connection at once
					conn, err := net.DialTimeout("unix", h.file(wellknown.CheckSocket), 50*time.Millisecond)
					if err != nil {
						break
					}
					held = append(held, conn)
				}
				t.Logf("%d of %d idle connections could be opened", len(held), n)
				return func() {
					for _, c := range held {
						c.Close()
					}
				}
			}
			letGo := hold(90)
			h.checkAnswers(t)
			letGo()
			letGo = hold(250) // More connections than the socket accepts: the check must wait, but root's sockets must answer.
			if pidOf(h.ask(t, "show info")) == 0 {
				t.Error("the admin socket does not answer while all connections of the check's socket are in use")
			}
			if out := h.must(t, "sh", "-c", "echo '@1 show info' | socat -t 5 /run/haproxy-master.sock -"); pidOf(out) == 0 {
				t.Errorf("the worker does not answer over the master socket while all connections of the check's socket are in use: %s", out)
			}
			letGo()
			eventually.True(t, patience, "the check answers again", func() bool {
				_, status, err := h.Run(deadline(t), "sh", "-c", asCheckUser+"ha-agent check")
				return err == nil && status == 0
			})
		})
	}
}

const asCheckUser = "setpriv --reuid=" + wellknown.CheckUser + " --regid=" + wellknown.CheckUser + " --clear-groups "

// checkAnswers runs the check as keepalived does.
func (h *host) checkAnswers(t *testing.T) {
	t.Helper()
	if out, status, err := h.Run(deadline(t), "sh", "-c", asCheckUser+"ha-agent check"); err != nil || status != 0 {
		t.Errorf("ha-agent check as %s: status %d, %v\n%s", wellknown.CheckUser, status, err, out)
	}
}
