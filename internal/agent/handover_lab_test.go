package agent_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestHandoverWithFixedPriority hands the VIP over in a pair whose keepalived.conf has no holder's file, because it preempts
// or was written by an older version. The first node has the higher priority, and the agent cannot lower it. So the peer
// becomes master only for a moment, and the agent must notice its advertisement.
func TestHandoverWithFixedPriority(t *testing.T) {
	nodes := newNodes(t, "trixie", 2)
	a, b := nodes[0], nodes[1]
	for i, n := range nodes {
		n.settledAgent()
		conf := n.read(keepalivedConf)
		for _, cut := range []string{`(?m)^track_file holder_[^}]*}\n`, `(?m)^ +holder_.*\n`, `(?m)^ +nopreempt\n`, `(?m)^ +timer_expired_backup\n`} {
			conf = regexp.MustCompile(cut).ReplaceAllString(conf, "")
		}
		conf = regexp.MustCompile(`(?m)^ +priority .*`).ReplaceAllString(conf, fmt.Sprintf("    priority %d", 254-2*i))
		if strings.Contains(conf, "holder") || strings.Contains(conf, "preempt") {
			t.Fatalf("keepalived.conf still has a holder's file or nopreempt:\n%s", conf)
		}
		s, err := n.status()
		if err != nil {
			t.Fatal(err)
		}
		number := 0
		if s.LastChange != nil {
			number = s.LastChange.Number
		}
		n.save(keepalivedConf, conf)
		if c := n.change(number); c.Verdict != "proven" {
			t.Fatalf("change %+v, want it proven", c)
		}
	}
	able := func() error {
		for n, want := range map[*node]string{a: "MASTER", b: "BACKUP"} {
			if s, err := n.status(); err != nil || len(s.Instances) != 1 || s.Instances[0].State != want {
				return fmt.Errorf("instances %+v, %v; want one as %s", s.Instances, err, want)
			}
		}
		return nil
	}
	a.eventually("the preferred node holds the VIP", able)

	b.must("systemctl", "stop", "haproxy")
	b.eventually("the peer cannot serve", b.track("1"))
	faults := strings.Count(a.journal(), "Entering FAULT")
	start := time.Now()
	if out := a.ha(1, "maintenance", "on"); !strings.Contains(out, "no peer takes over 192.168.1.32: the virtual IPs stay here") {
		t.Error(out)
	}
	t.Logf("refused after %v", time.Since(start).Round(time.Millisecond))
	if now := strings.Count(a.journal(), "Entering FAULT"); now != faults {
		t.Errorf("the node gave the VIP away before it refused:\n%s", a.journal())
	}
	b.must("systemctl", "start", "haproxy")
	a.eventually("the peer can serve again", able)

	start = time.Now()
	a.ha(0, "maintenance", "on")
	t.Logf("handed over in %v", time.Since(start).Round(time.Millisecond))
	if err := b.holds(true); err != nil {
		t.Error(err)
	}
	if err := a.holds(false); err != nil {
		t.Error(err)
	}
	a.ha(0, "maintenance", "off")
	a.eventually("the preferred node has the VIP back", able)
}
