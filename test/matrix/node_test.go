package matrix

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

const (
	haproxyCfg     = wellknown.HAProxyConfig
	keepalivedConf = "/etc/keepalived/keepalived.conf"
)

// save saves a file of the holder. From then on, the file must not be lost.
func (r *run) save(ctx context.Context, e cluster.Edit, path, content string) error {
	r.users = nil // the user has overwritten the earlier file
	r.saved(path, content)
	return e.Save(ctx, r.holder, path, content)
}

// saved records a file that must not be lost, in addition to the earlier ones.
func (r *run) saved(path, content string) {
	if content != "" {
		r.users = append(r.users, bytesAt(r.holder, path, content))
	}
}

func bytesAt(h *lab.Host, path, content string) bytesOf {
	return bytesOf{h, path, fmt.Sprintf("%x", sha256.Sum256([]byte(content)))}
}

// sh runs a shell script on a host.
func sh(ctx context.Context, h *lab.Host, script string, args ...string) error {
	return cluster.Pipe(ctx, h, "", script, args...)
}

// find searches for the user's file: in place, or set aside beside it.
func (b bytesOf) find(ctx context.Context) error {
	out, _, err := b.host.Run(ctx, "sh", "-c", `sha256sum "$1"*`, "sh", b.path)
	if err == nil && !strings.Contains(out, b.sum) {
		err = fmt.Errorf("what was saved as %s on %s is lost: it has SHA-256 %s, and there are\n%s", b.path, b.host.Name, b.sum, out)
	}
	return err
}

// lastChange returns the last change in a host's journal. Reading it puts no load on the host.
func lastChange(h *lab.Host) (journal.Change, error) {
	var c journal.Change
	data, err := h.ReadFile(wellknown.AgentState + "/journal.jsonl")
	if err != nil {
		return c, err
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return c, json.Unmarshal(lines[len(lines)-1], &c)
}

// number returns the number of a host's last change.
func number(h *lab.Host) (int, error) {
	c, err := lastChange(h)
	return c.Number, err
}

// judged waits for a change with a number above n that has a verdict.
func (r *run) judged(ctx context.Context, n int, want journal.Verdict) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return await(ctx, func() error {
		c, err := lastChange(r.holder)
		if err == nil && (c.Number <= n || c.Verdict != want) {
			err = fmt.Errorf("on %s: no change after number %d that was %s: %+v", r.holder.Name, n, want, c)
		}
		return err
	})
}

// saying waits for a change with a number above n that has a verdict, and records its status.
func (r *run) saying(ctx context.Context, n int, want journal.Verdict) (journal.Change, error) {
	if err := r.judged(ctx, n, want); err != nil {
		return journal.Change{}, err
	}
	s, err := cluster.Status(ctx, r.holder)
	if err == nil && (s.LastChange == nil || s.LastChange.Number <= n || s.LastChange.Verdict != want) {
		err = fmt.Errorf("on %s: status is %+v for a change after number %d that was %s", r.holder.Name, s.LastChange, n, want)
	}
	if err != nil {
		return journal.Change{}, err
	}
	r.said = strings.TrimSuffix(string(s.LastChange.Verdict)+": "+s.LastChange.Reason, ": ")
	return *s.LastChange, nil
}

// serves waits until the VIP answers GET /mark with the given text.
func (r *run) serves(ctx context.Context, mark string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return await(ctx, func() error {
		for _, url := range r.urls {
			code, body, err := r.Client.Get(ctx, url+"mark")
			if err == nil && (code != http.StatusOK || body != mark) {
				err = fmt.Errorf("GET %smark: status %d, %q; want %q", url, code, body, mark)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// mend repairs everything that a row may have left, even if the row failed.
func (p *pair) mend(ctx context.Context) error {
	const script = `systemctl unmask --runtime haproxy.service keepalived.service 2>/dev/null
systemctl stop 'burn-*.service'
systemctl kill --signal=CONT haproxy.service keepalived.service ha-agent.service 2>/dev/null
ha-agent maintenance off
systemctl start dbus.socket dbus.service haproxy.service keepalived.service ha-agent.service
rm -f /run/ha-agent/faultpoint /etc/haproxy/haproxy.cfg.* /etc/keepalived/keepalived.conf.* /etc/haproxy/haproxy.cfg~`
	for _, h := range p.hosts() {
		if err := h.Resume(); err != nil {
			return err
		}
		for _, iface := range []string{"eth3", "eth4"} {
			if err := h.Heal(iface); err != nil {
				return err
			}
			if err := h.Isolate(iface, false); err != nil {
				return err
			}
		}
		if err := sh(ctx, h, "set +e\n"+script+"\n:"); err != nil {
			return err
		}
		for path, content := range p.original[h.Name] {
			if now, err := h.ReadFile(path); err == nil && string(now) == content {
				continue
			}
			mode, owner := "0640", "root:haproxy"
			if path == keepalivedConf {
				mode, owner = "0600", "root:root"
			}
			err := cluster.Pipe(ctx, h, content, `cat >"$1.mend" && chmod "$2" "$1.mend" && chown "$3" "$1.mend" && mv "$1.mend" "$1"`, path, mode, owner)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// logs returns the logs of both nodes, for a failure.
func (p *pair) logs(t testing.TB) string {
	var b strings.Builder
	for _, h := range p.hosts() {
		fmt.Fprintf(&b, "---- %s\n%s\n", h.Name, h.Logs(t.Context(), 60))
	}
	return b.String()
}

// poll calls f until it returns nil.
func await(ctx context.Context, f func() error) error {
	return poll.Nil(ctx, 50*time.Millisecond, f)
}
