package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// testJob sees that the two nodes do the job, without breaking anything.
func testJob(t *testing.T, c *cluster) {
	t.Run("cloud-init is done", func(t *testing.T) {
		for _, h := range c.nodes {
			if out, status, err := h.Run(t.Context(), "cloud-init", "status", "--long"); err != nil || status != 0 {
				t.Errorf("%s: status %d, %v\n%s\n%s", h.Name, status, err, out, c.firstBoot(t.Context(), h))
			}
		}
	})
	t.Run("exactly one holder", func(t *testing.T) {
		holder, _ := c.settle(t)
		t.Logf("%s holds the VIP", holder.Name)
	})
	t.Run("ha-agent verify", func(t *testing.T) { c.verify(t) })
	t.Run("all servers answer through the VIP", func(t *testing.T) { c.answers(t) })
	t.Run("stats page", func(t *testing.T) { c.stats(t) })
	t.Run("haproxy's log arrives", func(t *testing.T) { c.logged(t) })
}

// verify has each node say of itself that every step of the job is done.
func (c *cluster) verify(t *testing.T) {
	t.Helper()
	for _, h := range c.nodes {
		out, err := h.Must(t.Context(), "ha-agent", "verify")
		if err != nil {
			t.Error(err)
			continue
		}
		t.Logf("%s:\n%s", h.Name, out)
	}
}

// answers asks through the VIP until every server of the service has answered.
func (c *cluster) answers(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), faultLimit)
	defer cancel()
	seen := map[string]bool{}
	for len(seen) < len(nodeAddress) {
		body, err := c.client.WaitAnswer(ctx, serviceURL)
		if err != nil {
			t.Fatalf("answers of %v only: %v", seen, err)
		}
		if _, known := nodeAddress[body]; !known {
			t.Fatalf("the answer is %q, not a server's name", body)
		}
		seen[body] = true
	}
}

// stats asks each node's own stats page, without and with the password, and for the metrics.
func (c *cluster) stats(t *testing.T) {
	for name, addr := range nodeAddress {
		for _, ask := range []struct {
			path, user string
			want       int
		}{{"/", "", 401}, {"/", "admin", 200}, {"/metrics", "", 401}, {"/metrics", "admin", 200}} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr.String()+":1936"+ask.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if ask.user != "" {
				req.SetBasicAuth(ask.user, password)
			}
			if status, _, err := c.admin.Do(req); err != nil || status != ask.want {
				t.Errorf("%s %s as %q: status %d, want %d (%v)", name, ask.path, ask.user, status, ask.want, err)
			}
		}
	}
}

// logged asks through the VIP and looks for the request in the holder's log.
func (c *cluster) logged(t *testing.T) {
	holder, _ := c.settle(t)
	const path = "/v3?logged"
	eventually(t.Context(), t, faultLimit, func() error {
		if _, err := c.client.WaitAnswer(t.Context(), "http://192.168.1.32:5000"+path); err != nil {
			return err
		}
		log, err := holder.ReadFile("/var/log/haproxy.log")
		if err == nil && !strings.Contains(string(log), "GET "+path) {
			err = fmt.Errorf("/var/log/haproxy.log of %s has no line of GET %s", holder.Name, path)
		}
		return err
	})
}

// eventually polls until f gives no error.
func eventually(ctx context.Context, t *testing.T, limit time.Duration, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}
