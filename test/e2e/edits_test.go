package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/test/cluster"
)

const haproxyCfg = "/etc/haproxy/haproxy.cfg"

// edit is a way in which editors save a file: a shell script that writes standard input to $1.
type edit struct {
	name, script string
}

func edits() []edit {
	return []edit{
		{"in place", `cat >/run/new && dd if=/run/new of="$1" conv=notrunc status=none && truncate -s "$(stat -c %s /run/new)" "$1"`},
		{"by truncating and writing", `cat >/run/new && : >"$1" && head -c 100 /run/new >>"$1" && tail -c +101 /run/new >>"$1"`},
		{"by rename", `cp -p "$1" "$1.new" && cat >"$1.new" && mv "$1.new" "$1"`},
		{"by rename, the old one kept as a backup", `mv "$1" "$1~" && cp -p "$1~" "$1.new" && cat >"$1.new" && mv "$1.new" "$1"`},
	}
}

// An edit is to be in force within a second of being saved. On a machine that is busy with other tests one or the other
// may take longer.
const (
	inForce     = time.Second
	mostInForce = 10 * time.Second
)

// testEdits edits haproxy.cfg on the holder in every way, then breaks it.
func testEdits(t *testing.T, c controllers) {
	holder, _ := c.Settle(t)
	original, err := holder.ReadFile(haproxyCfg)
	if err != nil {
		t.Fatal(err)
	}
	save := func(t *testing.T, e edit, content string) {
		t.Helper()
		cmd, err := holder.Command(t.Context(), "sh", "-euc", e.script, "sh", haproxyCfg)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = strings.NewReader(content)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	quickest := mostInForce
	for i, e := range edits() {
		t.Run("saved "+e.name, func(t *testing.T) {
			mark := fmt.Sprintf("edit-%d", i)
			save(t, e, marked(string(original), mark))
			saved := time.Now()
			cluster.Eventually(t.Context(), t, faultLimit, func() error { return c.serves(t.Context(), mark) })
			took := time.Since(saved)
			t.Logf("in force %v after it was saved", took.Round(time.Millisecond))
			if took > mostInForce {
				t.Errorf("in force after %v, want %v at most\n%s", took, mostInForce, holder.Logs(t.Context(), 40))
			}
			quickest = min(quickest, took)
		})
	}
	if quickest > inForce {
		t.Errorf("no edit was in force within %v, the quickest after %v", inForce, quickest)
	}
	t.Run("a broken one is refused", func(t *testing.T) {
		save(t, edits()[2], marked(string(original), "good"))
		cluster.Eventually(t.Context(), t, faultLimit, func() error { return c.serves(t.Context(), "good") })
		watch := c.Client.Watch(t.Context(), serviceURL, 10*time.Millisecond, patience)
		defer watch.Stop()
		broken := marked(string(original), "broken") + "\nfrontend broken\n    bind nonsense\n"
		save(t, edits()[2], broken)
		cluster.Eventually(t.Context(), t, faultLimit, func() error {
			out, status, err := holder.Run(t.Context(), "ha-agent", "status")
			if err == nil && !strings.Contains(out, "refused") {
				err = fmt.Errorf("ha-agent status %d does not say that the change was refused:\n%s", status, out)
			}
			return err
		})
		if err := c.serves(t.Context(), "good"); err != nil {
			t.Errorf("the old one is not served any more: %v", err)
		}
		if left, err := holder.ReadFile(haproxyCfg); err != nil || string(left) != broken {
			t.Errorf("the file is not as it was saved (%v)", err)
		}
		if r := watch.Stop(); r.Failures > 0 {
			t.Errorf("%d requests failed, the last with %v", r.Failures, r.LastErr)
		}
	})
	save(t, edits()[2], string(original))
	cluster.Eventually(t.Context(), t, faultLimit, func() error { return c.serves(t.Context(), "") })
}

// marked is a haproxy.cfg that answers GET /mark with a text.
func marked(cfg, mark string) string {
	const after = "    bind 192.168.1.32:5000\n"
	return strings.Replace(cfg, after, after+"    http-request return status 200 content-type text/plain string "+mark+" if { path /mark }\n", 1)
}

// serves asks the VIP for the mark; empty means that there is none.
func (c controllers) serves(ctx context.Context, mark string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	status, body, err := c.Client.Get(ctx, "http://192.168.1.32:5000/mark")
	switch {
	case err != nil:
		return err
	case mark == "" && status == http.StatusNotFound, status == http.StatusOK && body == mark:
		return nil
	}
	return fmt.Errorf("GET /mark gives status %d, %q; want %q", status, body, mark)
}
