package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hapair/hapair/internal/lab"
)

// startOffset is the error of the clock with which keepalived and haproxy start.
const startOffset = time.Hour

// fakeClocks starts keepalived and haproxy of both nodes with a clock that can be set to a wrong time: see testdata/clock.c.
// The machine's own clock is not changed. The agent cannot use such a clock, because it is linked statically.
func fakeClocks(ctx context.Context, p *pair) error {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	library := filepath.Join(dir, "clock.so")
	if out, err := exec.CommandContext(ctx, "gcc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", library, "testdata/clock.c").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot compile the clock: %w\n%s", err, out)
	}
	code, err := os.ReadFile(library)
	if err != nil {
		return err
	}
	const script = `for u in haproxy keepalived; do
	mkdir -p /run/systemd/system/$u.service.d
	printf '[Service]\nEnvironment=LD_PRELOAD=/clock.so\n' >/run/systemd/system/$u.service.d/clock.conf
done
systemctl daemon-reload; systemctl restart haproxy keepalived`
	for _, h := range p.hosts() {
		err := h.WriteFile("/clock.so", 0o755, code)
		if err == nil {
			err = setClock(h, startOffset)
		}
		if err == nil {
			err = sh(ctx, h, script)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setClock sets a host's clock to a wrong time. haproxy reads the file in its chroot.
func setClock(h *lab.Host, offset time.Duration) error {
	text := fmt.Appendf(nil, "%+05d\n", int(offset.Seconds()))
	return errors.Join(h.WriteFile("/clock", 0o644, text), h.WriteFile("/var/lib/haproxy/clock", 0o644, text))
}

func trueClocks(ctx context.Context, p *pair) error {
	const script = `rm -f /run/systemd/system/*.service.d/clock.conf; systemctl daemon-reload; systemctl restart haproxy keepalived
rm -f /clock* /var/lib/haproxy/clock /tmp/keepalived*`
	var errs []error
	for _, h := range p.hosts() {
		errs = append(errs, sh(ctx, h, script))
	}
	return errors.Join(errs...)
}

// clocksJump waits after each jump for longer than the timeout for a silent peer, and longer than any check takes.
func clocksJump(ctx context.Context, r *run) error {
	for _, h := range []*lab.Host{r.holder, r.other} {
		for _, offset := range []time.Duration{0, -time.Hour, 0, time.Hour} {
			err := setClock(h, offset)
			if err == nil {
				err = sees(ctx, h, offset)
			}
			if err == nil {
				err = r.Holders.WaitHolder(ctx, r.holder.Name, 2*time.Second)
			}
			if err != nil {
				return fmt.Errorf("on %s, whose clock is off by %v: %w", h.Name, offset, err)
			}
		}
	}
	r.end = "as before; haproxy saw each jump; keepalived looks at the time of day when it starts, and then at the monotonic clock"
	return r.told(ctx, state)
}

// sees checks that haproxy uses the current clock, and keepalived the one with which it started. haproxy includes the time
// in an answer on its socket. keepalived prints the end of a timer when it dumps its data.
func sees(ctx context.Context, h *lab.Host, offset time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	const haproxy = `echo 'show errors' | socat - /run/haproxy/admin.sock | sed -n 's/.*captured on \[\([^].]*\).*/\1/p' | tr -d '\n'`
	const keepalived = `rm -f /tmp/keepalived*; systemctl kill --kill-whom=main --signal=USR1 keepalived.service
until grep -hs 'Read timeout = [0-9]' /tmp/keepalived* >/run/timeout; do sleep 0.05; done
sed 's/.*= \([0-9]*\).*/@\1/' /run/timeout | date -u -f - '+%d/%b/%Y:%H:%M:%S' | tr -d '\n'`
	for _, p := range []struct {
		name, ask string
		offset    time.Duration
	}{{"haproxy", haproxy, offset}, {"keepalived", keepalived, startOffset}} {
		out, err := h.Must(ctx, "sh", "-euc", p.ask)
		if err != nil {
			return err
		}
		said, err := time.Parse("02/Jan/2006:15:04:05", out)
		if err != nil {
			return fmt.Errorf("%s does not report its time: %w", p.name, err)
		}
		if wrong := time.Until(said) - p.offset; wrong.Abs() > time.Minute {
			return fmt.Errorf("the clock of %s is off by %v: it reports %s", p.name, p.offset+wrong, out)
		}
	}
	return nil
}
