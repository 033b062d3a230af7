package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/redact"
	"github.com/hapair/hapair/internal/testing/eventually"
)

// bench is a Runner whose jobs are functions of the test.
type bench struct {
	*Runner
	started chan Job // each job that was started
	logged  *buffer

	mu    sync.Mutex
	state State
	kills map[string]func() // by the unit of a running job
}

// buffer collects the log.
type buffer struct {
	mu  sync.Mutex
	all strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

func newBench(t *testing.T, interval time.Duration, job func(ctx context.Context, job Job, out *os.File) error) *bench {
	b := &bench{started: make(chan Job, 100), logged: &buffer{}, kills: map[string]func(){}}
	conf := &config.Config{Cluster: "edge", Node: "lb1", VIPs: []config.VIP{{Name: "public", Interface: "eth1", Instances: []string{"VI_public"},
		OnChange: &config.OnChange{Command: "/usr/local/sbin/eip --id 7", Timeout: time.Minute}}, {Name: "none"}}}
	b.Runner = &Runner{Conf: conf, Log: slog.New(slog.NewTextHandler(b.logged, nil)), Interval: interval,
		Mask: func() func(string) string { return redact.NewConfig().Message },
		State: func(config.VIP) (State, bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.state, b.state.State != ""
		},
		Start: func(ctx context.Context, j Job, out *os.File) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			b.mu.Lock()
			b.kills[j.Unit] = cancel
			b.mu.Unlock()
			b.started <- j
			return job(ctx, j, out)
		},
		Kill: func(_ context.Context, unit string) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.kills[unit]()
			return nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { b.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return b
}

// becomes makes keepalived report a state.
func (b *bench) becomes(state keepalived.State) {
	b.mu.Lock()
	b.state = State{state, 254}
	b.mu.Unlock()
	b.Look()
}

// next returns the next job that is started.
func (b *bench) next(t *testing.T) Job {
	t.Helper()
	select {
	case j := <-b.started:
		return j
	case <-time.After(10 * time.Second):
		t.Fatal("no command was started within 10s")
		return Job{}
	}
}

func fine(context.Context, Job, *os.File) error { return nil }

func TestEachChangeRunsTheCommand(t *testing.T) {
	b := newBench(t, time.Hour, fine)
	for _, state := range []keepalived.State{keepalived.Backup, keepalived.Master, keepalived.Fault, keepalived.Backup} {
		b.becomes(state)
		j := b.next(t)
		if got := strings.Join(j.Argv, " "); got != "/usr/local/sbin/eip --id 7 INSTANCE VI_public "+string(state)+" 254" {
			t.Errorf("for %s, the Runner runs %s", state, got)
		}
		if !slices.Contains(j.Env, "HAPAIR_VIP=public") || !slices.Contains(j.Env, "HAPAIR_REASON=change") {
			t.Errorf("for %s, the environment is %q", state, j.Env)
		}
		b.Look() // the state has not changed
	}
	if len(b.started) > 0 {
		t.Errorf("the command runs again without a change: %v", <-b.started)
	}
	if b.Status("none") != nil {
		t.Error("a VIP without a command has a status")
	}
}

// On the holder, the command is repeated, also after it failed. On the other nodes it runs once.
func TestHolderRunsTheCommandAgain(t *testing.T) {
	b := newBench(t, 5*time.Millisecond, func(context.Context, Job, *os.File) error { return errors.New("it ended with status 3") })
	b.becomes(keepalived.Master)
	for n := range 4 {
		want := "HAPAIR_REASON=holder"
		if n == 0 {
			want = "HAPAIR_REASON=change"
		}
		if j := b.next(t); !slices.Contains(j.Env, want) {
			t.Errorf("run %d: want %s in the environment %q", n, want, j.Env)
		}
	}
	b.becomes(keepalived.Backup)
	for !slices.Contains(b.next(t).Env, "HAPAIR_STATE=BACKUP") { // runs that were started before the change
	}
	time.Sleep(50 * time.Millisecond) // ten intervals
	if len(b.started) > 0 {
		t.Errorf("the command is repeated on a node without the VIP: %v", <-b.started)
	}
	if s := b.Status("public"); s.State != "BACKUP" || s.Why != "it ended with status 3" || s.Runs < 5 || s.Failures != s.Runs {
		t.Errorf("the command's status is %+v", s)
	}
	if n := strings.Count(b.logged.String(), "failed"); n != 2 {
		t.Errorf("the same failure is logged %d times, want once for each state:\n%s", n, b.logged)
	}
}

// A command that hangs must be killed when the state changes.
func TestNextChangeEndsAHangingCommand(t *testing.T) {
	b := newBench(t, time.Hour, func(ctx context.Context, j Job, _ *os.File) error {
		if slices.Contains(j.Env, "HAPAIR_STATE=MASTER") {
			<-ctx.Done()
			return errors.New("killed")
		}
		return nil
	})
	b.becomes(keepalived.Master)
	b.next(t)
	b.becomes(keepalived.Backup)
	if j := b.next(t); !slices.Contains(j.Env, "HAPAIR_STATE=BACKUP") {
		t.Errorf("after the change, the command runs with %q", j.Env)
	}
}

// A command that systemd did not start must be retried, whatever the state is.
func TestCommandThatDidNotStartIsTriedAgain(t *testing.T) {
	n := 0
	b := newBench(t, 5*time.Millisecond, func(context.Context, Job, *os.File) error {
		if n++; n < 3 {
			return fmt.Errorf("%w: no bus", ErrNotStarted)
		}
		return nil
	})
	b.becomes(keepalived.Backup)
	for range 3 {
		b.next(t)
	}
	time.Sleep(50 * time.Millisecond) // ten intervals
	if len(b.started) > 0 {
		t.Error("the command runs again after it succeeded")
	}
}

func TestOutputIsBoundedAndMasked(t *testing.T) {
	b := newBench(t, time.Hour, func(_ context.Context, _ Job, out *os.File) error {
		fmt.Fprintln(out, "attached the address")
		fmt.Fprintln(out, "using token hunter22 and password=hunter33 for it; Authorization: Bearer hunter44")
		fmt.Fprintln(out, strings.Repeat("long ", 100000))
		for range 10000 {
			fmt.Fprintln(out, "and on")
		}
		return nil
	})
	b.becomes(keepalived.Master)
	b.next(t)
	eventually.True(t, 10*time.Second, "the command is done", func() bool { return strings.Contains(b.logged.String(), "is done") })
	log := b.logged.String()
	if !strings.Contains(log, "attached the address") || strings.Contains(log, "hunter") {
		t.Errorf("the log is:\n%.2000s", log)
	}
	if n := strings.Count(log, "on_change says"); n != maxLines || len(log) > 20000 {
		t.Errorf("%d lines of output with %d bytes are logged", n, len(log))
	}
}
