package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

// An edit takes 0.3 to 0.5 s to be in effect after it was saved: see BenchmarkReload. On a machine that is busy with other tests,
// some take longer.
const (
	inForce     = 5 * time.Second
	mostInForce = 15 * time.Second
)

// testEdits edits haproxy.cfg on the holder in every way, and then writes a broken one.
func testEdits(t *testing.T, c controllers) {
	holder, _ := c.Settle(t)
	original, err := holder.ReadFile(wellknown.HAProxyConfig)
	if err != nil {
		t.Fatal(err)
	}
	save := func(t *testing.T, e cluster.Edit, content string) {
		t.Helper()
		if err := e.Save(t.Context(), holder, wellknown.HAProxyConfig, content); err != nil {
			t.Fatal(err)
		}
	}
	byRename := cluster.ByRename()
	quickest := mostInForce
	for i, e := range cluster.Edits() {
		t.Run("saved "+e.Name, func(t *testing.T) {
			mark := fmt.Sprintf("edit-%d", i)
			save(t, e, cluster.Marked(string(original), mark))
			saved := time.Now()
			eventually.Nil(t, faultLimit, func() error { return c.serves(t.Context(), mark) })
			took := time.Since(saved)
			t.Logf("in effect %v after it was saved", took.Round(time.Millisecond))
			if took > mostInForce {
				t.Errorf("in effect after %v, want at most %v\n%s", took, mostInForce, holder.Logs(t.Context(), 40))
			}
			quickest = min(quickest, took)
		})
	}
	if quickest > inForce {
		t.Errorf("no edit was in effect within %v, the fastest took %v", inForce, quickest)
	}
	t.Run("a broken one is refused", func(t *testing.T) {
		save(t, byRename, cluster.Marked(string(original), "good"))
		eventually.Nil(t, faultLimit, func() error { return c.serves(t.Context(), "good") })
		// The edit serves at once, but is proven a moment later. A later edit before that would be rolled back to the
		// previous file.
		eventually.Nil(t, faultLimit, func() error { return proven(t.Context(), holder) })
		watch := c.watch(t.Context())
		defer watch.stop()
		broken := cluster.Marked(string(original), "broken") + "\nfrontend broken\n    bind nonsense\n"
		save(t, byRename, broken)
		eventually.Nil(t, faultLimit, func() error { return refused(t.Context(), holder) })
		if err := c.serves(t.Context(), "good"); err != nil {
			t.Errorf("the old one is not served any more: %v", err)
		}
		if left, err := holder.ReadFile(wellknown.HAProxyConfig); err != nil || string(left) != broken {
			t.Errorf("the file is not as it was saved (%v)", err)
		}
		if failures, _, last := watch.stop(); failures > 0 {
			t.Errorf("%d requests failed, the last with %v", failures, last)
		}
	})
	save(t, byRename, string(original))
	eventually.Nil(t, faultLimit, func() error { return c.serves(t.Context(), "") })
}

// proven returns nil if haproxy runs the file on a host, and the file was proven.
func proven(ctx context.Context, h *lab.Host) error {
	s, err := cluster.Status(ctx, h)
	if err != nil {
		return err
	}
	for _, t := range s.Targets {
		if t.Name == "haproxy" && !t.Drift && t.Digest == t.GoodDigest {
			return nil
		}
	}
	return fmt.Errorf("haproxy.cfg is not proven: %+v", s.Targets)
}

// refused returns nil if the last change was refused.
func refused(ctx context.Context, h *lab.Host) error {
	s, err := cluster.Status(ctx, h)
	if err == nil && (s.LastChange == nil || s.LastChange.Verdict != journal.Refused) {
		err = fmt.Errorf("status does not report that the change was refused: %+v", s.LastChange)
	}
	return err
}

// serves requests the mark from the VIP; an empty mark means that there is none.
func (c controllers) serves(ctx context.Context, mark string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, url := range c.urls("/mark") {
		status, body, err := c.Client.Get(ctx, url)
		switch {
		case err != nil:
			return err
		case mark == "" && status == http.StatusNotFound, status == http.StatusOK && body == mark:
		default:
			return fmt.Errorf("GET %s: status %d, %q; want %q", url, status, body, mark)
		}
	}
	return nil
}
