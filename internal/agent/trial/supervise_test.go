package trial

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/revision"
)

// clock is a clock that a test sets.
type clock struct {
	boot string
	up   time.Duration
}

func (c *clock) Boot() string          { return c.boot }
func (c *clock) Uptime() time.Duration { return c.up }

// testNode is a node of a test: its store, its supervisor, and what rollouts ask.
type testNode struct {
	*Supervisor
	clock  *clock
	server *Server
	cut    bool // no peer reaches it
	undone int
}

// newPair returns two nodes that ask each other.
func newPair(t *testing.T) (h revision.Header, a, b *testNode) {
	t.Helper()
	h = revision.Header{Format: revision.Format, Cluster: "c", Number: 1, Token: bytes.Repeat([]byte{7}, 32)}
	c := revision.Content{}
	nodes := map[netip.Addr]*testNode{}
	for i, name := range []string{"a", "b"} {
		addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		n := &testNode{clock: &clock{boot: "1"}}
		st := &Store{Dir: t.TempDir(), Clock: n.clock, Now: time.Now}
		n.Supervisor = &Supervisor{Store: st, Log: slog.New(slog.DiscardHandler),
			carry: func(context.Context, *Trial) error {
				_, err := st.change(h.Ref().ID, func(t *Trial) error { t.Before = "x"; return nil })
				return err
			},
			back: func(context.Context, *Trial) error { n.undone++; return nil },
			Dial: func(_ context.Context, to netip.Addr) (net.Conn, error) {
				if nodes[to].cut {
					return nil, errors.New("no route")
				}
				mine, its := net.Pipe()
				go func() {
					_ = nodes[to].Store.Answer(its, its)
					its.Close()
				}()
				return mine, nil
			}}
		n.server = &Server{Store: st, Conf: &config.Config{Cluster: "c", Node: name}, Start: func(context.Context) error { return nil }}
		nodes[addr] = n
		h.Nodes = append(h.Nodes, revision.Member{Name: name, Addresses: []netip.Addr{addr}, Content: c.Digest()})
	}
	a, b = nodes[h.Nodes[0].Addresses[0]], nodes[h.Nodes[1].Addresses[0]]
	for i, n := range []*testNode{a, b} {
		tr := Trial{Header: h, Node: h.Nodes[i].Name, Content: h.Nodes[i].Content, Phase: revision.Staged}
		n.Store.renew(&tr, 30*time.Second)
		if err := n.Store.Lock(func() error { return n.Store.write(TrialFile, tr) }); err != nil {
			t.Fatal(err)
		}
	}
	return h, a, b
}

// do sends a request of the rollout, and returns the phase; or "refused: …".
func (n *testNode) do(t *testing.T, h revision.Header, op string) string {
	t.Helper()
	resp, err := n.server.answer(t.Context(), revision.Request{Op: op, ID: h.Ref().ID, Seconds: 30}, new(string))
	switch {
	case err != nil:
		t.Fatal(err)
	case resp.Refused != "":
		return "refused: " + resp.Refused
	}
	return string(resp.Trial.Phase)
}

// steps has a supervisor do what is due, until nothing happens any more.
func (n *testNode) steps(t *testing.T) {
	t.Helper()
	for range 10 {
		if _, err := n.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func try(t *testing.T, h revision.Header, nodes ...*testNode) {
	t.Helper()
	for _, n := range nodes {
		n.do(t, h, revision.OpTry)
		n.steps(t)
		if got := n.do(t, h, revision.OpRenew); got != "on trial" {
			t.Fatalf("the node is %q, want on trial", got)
		}
	}
}

func TestConfirmed(t *testing.T) {
	h, a, b := newPair(t)
	try(t, h, a, b)
	for _, n := range []*testNode{a, b} {
		if got := n.do(t, h, revision.OpCommit); got != "committed" {
			t.Errorf("after the commit the node is %q", got)
		}
		n.steps(t)
		st, err := n.Store.state()
		if err != nil || st.Current != h.Ref() || n.undone != 0 {
			t.Errorf("the node runs %v, undone %d, error %v", st.Current, n.undone, err)
		}
		if got := n.do(t, h, revision.OpCommit); got != "committed" {
			t.Errorf("the commit again: %q", got)
		}
	}
}

func TestTheRolloutIsAway(t *testing.T) {
	h, a, b := newPair(t)
	try(t, h, a)
	a.clock.up += time.Minute
	if got := a.do(t, h, revision.OpCommit); !strings.HasPrefix(got, "refused") {
		t.Errorf("a commit after the deadline: %q", got)
	}
	a.do(t, h, revision.OpRenew)
	if got := a.do(t, h, revision.OpCommit); !strings.HasPrefix(got, "refused") {
		t.Errorf("a lease that ran out was renewed: %q", got)
	}
	a.steps(t)
	if got := a.do(t, h, revision.OpRenew); got != "on trial" || a.undone != 0 {
		t.Errorf("the other node can still be confirmed, and this one is %q", got)
	}
	b.cut, b.clock.up = true, time.Minute
	a.steps(t)
	tr, err := a.Store.Trial()
	if err != nil || tr == nil || !strings.Contains(tr.Waits, "b does not answer: no route") {
		t.Errorf("the other node cannot be reached, and the trial is %+v, %v", tr, err)
	}
	b.cut = false
	a.steps(t)
	b.steps(t)
	for _, n := range []*testNode{a, b} {
		if got := n.do(t, h, revision.OpRenew); got != "undone" {
			t.Errorf("the node is %q, want undone", got)
		}
	}
	if a.undone != 1 {
		t.Errorf("the node that had applied it went back %d times", a.undone)
	}
}

// A node that was restarted accepts no confirmation, but learns of one.
func TestAPeerIsConfirmed(t *testing.T) {
	h, a, b := newPair(t)
	try(t, h, a, b)
	b.clock.boot = "2"
	if got := a.do(t, h, revision.OpCommit); got != "committed" {
		t.Fatal(got)
	}
	a.steps(t) // its trial is over, and it answers from what it remembers
	if got := b.do(t, h, revision.OpCommit); !strings.HasPrefix(got, "refused") {
		t.Errorf("a commit after a reboot: %q", got)
	}
	b.steps(t)
	if st, err := b.Store.state(); err != nil || st.Current != h.Ref() || b.undone != 0 {
		t.Errorf("the node runs %v, undone %d, error %v", st.Current, b.undone, err)
	}
}

func TestInterruptedWhileApplying(t *testing.T) {
	h, a, _ := newPair(t)
	a.do(t, h, revision.OpTry)
	if _, err := a.Store.change(h.Ref().ID, func(t *Trial) error { t.Before = "x"; return nil }); err != nil {
		t.Fatal(err)
	}
	a.steps(t)
	if got := a.do(t, h, revision.OpRenew); got != "undone" || a.undone != 1 {
		t.Errorf("the node is %q, and went back %d times", got, a.undone)
	}
}

func TestGoingBackIsTriedAgain(t *testing.T) {
	h, a, _ := newPair(t)
	failures := 2
	a.back = func(context.Context, *Trial) error {
		if failures--; failures >= 0 {
			return errors.New("the disk is full")
		}
		return nil
	}
	try(t, h, a)
	a.do(t, h, revision.OpUndo)
	for range 2 {
		if _, err := a.step(t.Context()); err == nil {
			t.Error("no error")
		}
		if tr, err := a.Store.Trial(); err != nil || tr.Phase != revision.Stuck || !strings.Contains(tr.Waits, "the disk is full") {
			t.Errorf("the trial is %+v, %v", tr, err)
		}
	}
	a.steps(t)
	if got := a.do(t, h, revision.OpRenew); got != "undone" {
		t.Errorf("the node is %q", got)
	}
}

// Who does not have the token gets no answer, and is not believed.
func TestAnswersNeedTheToken(t *testing.T) {
	h, a, b := newPair(t)
	q := question{ID: h.Ref().ID, From: "b", Nonce: []byte("1")}
	for name, proof := range map[string][]byte{"none": nil, "of another token": q.proof([]byte("x")), "right": q.proof(h.Token)} {
		var out bytes.Buffer
		line := fmt.Sprintf(`{"id":%q,"from":"b","nonce":"MQ==","mac":"%s"}`+"\n", q.ID, base64.StdEncoding.EncodeToString(proof))
		err := a.Store.Answer(strings.NewReader(line), &out)
		if answered := out.Len() > 0; answered != (name == "right") || answered != (err == nil) {
			t.Errorf("proof %s: %v, %q", name, err, out.String())
		}
	}
	tr, err := a.Store.Trial()
	if err != nil {
		t.Fatal(err)
	}
	tr.Header.Token = []byte("x")
	if stands, err := askAll(t.Context(), tr, b.Dial); err == nil || len(stands) != 0 {
		t.Errorf("an answer with another token was believed: %v", stands)
	}
}
