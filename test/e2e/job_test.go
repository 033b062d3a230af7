package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/test/cluster"
)

// testJob checks that the two nodes work, without causing faults.
func testJob(t *testing.T, c controllers) {
	t.Run("cloud-init is done", func(t *testing.T) {
		for _, h := range c.Nodes {
			if out, status, err := h.Run(t.Context(), "cloud-init", "status", "--long"); err != nil || status != 0 {
				t.Errorf("%s: status %d, %v\n%s\n%s", h.Name, status, err, out, c.FirstBoot(t.Context(), h))
			}
		}
	})
	t.Run("exactly one holder", func(t *testing.T) {
		holder, _ := c.Settle(t)
		t.Logf("%s holds the VIP", holder.Name)
	})
	t.Run("ha-agent verify", func(t *testing.T) { c.verify(t) })
	t.Run("all servers answer through the VIP", func(t *testing.T) { c.answers(t) })
	t.Run("stats page", func(t *testing.T) { c.stats(t) })
	t.Run("haproxy's log arrives", func(t *testing.T) { c.logged(t) })
}

// verify runs ha-agent verify on each node. Every step must succeed.
func (c controllers) verify(t *testing.T) {
	t.Helper()
	for _, h := range c.Nodes {
		out, err := h.Must(t.Context(), "ha-agent", "verify")
		if err != nil {
			t.Error(err)
			continue
		}
		t.Logf("%s:\n%s", h.Name, out)
	}
}

// answers sends requests through the VIP until every server of the service has answered.
func (c controllers) answers(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), faultLimit)
	defer cancel()
	for _, url := range c.urls(servicePath) {
		seen := map[string]bool{}
		for len(seen) < len(nodeAddress()) {
			body, err := c.Client.WaitAnswer(ctx, url)
			if err != nil {
				t.Fatalf("answers of %v only: %v", seen, err)
			}
			if _, known := nodeAddress()[body]; !known {
				t.Fatalf("the answer is %q, not a server's name", body)
			}
			seen[body] = true
		}
	}
}

// stats requests each node's stats page, without and with the password, and the metrics.
func (c controllers) stats(t *testing.T) {
	for name, addr := range nodeAddress() {
		for _, ask := range []struct {
			url, user string
			want      int
		}{{"/", "", 401}, {"/", "admin", 200}, {"/metrics", "", 401}, {"/metrics", "admin", 200}} {
			for _, url := range c.Family.URLs(addr.String(), 1936, ask.url) {
				c.askStats(t, name, url, ask.user, ask.want)
			}
		}
	}
}

func (c controllers) askStats(t *testing.T, node, url, user string, want int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, cluster.Password)
	}
	if status, _, err := c.Admin.Do(req); err != nil || status != want {
		t.Errorf("%s: %s as %q: status %d, want %d (%v)", node, url, user, status, want, err)
	}
}

// logged sends a request through the VIP, and searches for it in the holder's log.
func (c controllers) logged(t *testing.T) {
	holder, _ := c.Settle(t)
	const path = "/v3?logged"
	eventually.Nil(t, faultLimit, func() error {
		if err := c.answered(t.Context(), path); err != nil {
			return err
		}
		log, err := holder.ReadFile("/var/log/haproxy.log")
		if err == nil && !strings.Contains(string(log), "GET "+path) {
			err = fmt.Errorf("/var/log/haproxy.log of %s has no line of GET %s", holder.Name, path)
		}
		return err
	})
}
