// Package systemd communicates with the service manager: jobs and unit states over D-Bus, and sd_notify.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
)

// Bus is a connection to systemd. It is established when it is first needed, and again after it was lost.
type Bus struct {
	dial func(ctx context.Context) (*dbus.Conn, error)

	mu   sync.Mutex
	conn *dbus.Conn
	end  context.CancelFunc // of the connection's context
}

// System returns the bus of this machine: the system bus, or systemd's own socket if there is no D-Bus daemon.
func System() *Bus { return New(dbus.NewWithContext) }

// New returns a bus that connects with dial.
func New(dial func(ctx context.Context) (*dbus.Conn, error)) *Bus { return &Bus{dial: dial} }

// dialTimeout is the time limit for connecting to a bus.
const dialTimeout = 5 * time.Second

// connect returns the existing connection or a new one.
func (b *Bus) connect(ctx context.Context) (*dbus.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil && b.conn.Connected() {
		return b.conn, nil
	}
	b.drop()
	type dialed struct {
		conn *dbus.Conn
		err  error
	}
	// The context of a dial applies to the connection for its whole life. The caller's context would end it too early, so
	// only its values are used.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ch := make(chan dialed, 1)
	go func() {
		c, err := b.dial(life)
		ch <- dialed{c, err}
	}()
	timer := time.NewTimer(dialTimeout)
	defer timer.Stop()
	select {
	case d := <-ch:
		if d.err != nil {
			cancel()
			return nil, fmt.Errorf("cannot reach systemd: %w", d.err)
		}
		b.conn, b.end = d.conn, cancel
		return b.conn, nil
	case <-timer.C:
		cancel()
		return nil, fmt.Errorf("cannot reach systemd: its bus does not answer within %v", dialTimeout)
	case <-ctx.Done():
		cancel()
		return nil, fmt.Errorf("cannot reach systemd: %w", ctx.Err())
	}
}

// Close ends the connection.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop()
}

func (b *Bus) drop() {
	if b.conn != nil {
		b.conn.Close()
		b.end()
		b.conn, b.end = nil, nil
	}
}

// Reload reloads a unit and waits for its job, until ctx ends. A finished job means that the service was notified, not that
// it runs its new configuration.
func (b *Bus) Reload(ctx context.Context, unit string) error {
	return b.job(ctx, "reload", unit, (*dbus.Conn).ReloadUnitContext)
}

// Restart restarts a unit and waits for its job, until ctx ends.
func (b *Bus) Restart(ctx context.Context, unit string) error {
	return b.job(ctx, "restart", unit, (*dbus.Conn).RestartUnitContext)
}

// RunOnce runs a command to its end in a transient unit, outside this process's sandbox. A command that exits with a status
// other than 0 is not an error; its output is in the journal.
func (b *Bus) RunOnce(ctx context.Context, unit string, argv ...string) error {
	properties := []dbus.Property{dbus.PropDescription(strings.Join(argv, " ")), dbus.PropType("oneshot"), dbus.PropExecStart(argv, false)}
	return b.job(ctx, "start", unit, func(c *dbus.Conn, ctx context.Context, name, mode string, ch chan<- string) (int, error) {
		return c.StartTransientUnitContext(ctx, name, mode, properties, ch)
	})
}

// Kill sends SIGKILL to every process of a unit.
func (b *Bus) Kill(ctx context.Context, unit string) error {
	conn, err := b.connect(ctx)
	if err == nil {
		err = conn.KillUnitWithTarget(ctx, unit, dbus.All, int32(syscall.SIGKILL))
	}
	if err != nil {
		return fmt.Errorf("cannot kill %s: %w", unit, err)
	}
	return nil
}

// Errors of a job without a result.
var (
	// ErrNotAsked means that nothing was done to the unit.
	ErrNotAsked = errors.New("systemd was not asked")
	// ErrLost means that the job may have been done.
	ErrLost = errors.New("systemd's answer was lost")
)

// unknown is an error that also matches ErrNotAsked or ErrLost, without repeating its text.
type unknown struct {
	error
	is error
}

func (u unknown) Is(target error) bool { return target == u.is }
func (u unknown) Unwrap() error        { return u.error }

type enqueue func(c *dbus.Conn, ctx context.Context, name, mode string, ch chan<- string) (int, error)

func (b *Bus) job(ctx context.Context, verb, unit string, enqueue enqueue) error {
	conn, err := b.connect(ctx)
	if err != nil {
		return unknown{fmt.Errorf("cannot %s %s: %w", verb, unit, err), ErrNotAsked}
	}
	result := make(chan string, 1) // buffered, because a result that is not read must not block the connection
	if _, err := enqueue(conn, ctx, unit, "replace", result); err != nil {
		return unknown{fmt.Errorf("cannot %s %s: %w", verb, unit, err), ErrNotAsked}
	}
	// If the connection breaks, the result is lost and there is no other notification.
	lost := time.NewTicker(time.Second)
	defer lost.Stop()
	for {
		select {
		case r := <-result:
			if r != "done" {
				return fmt.Errorf("cannot %s %s: its job ended as %s: `journalctl -u %s` shows the reason", verb, unit, r, unit)
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("cannot %s %s: its job did not end in time: %w", verb, unit, ctx.Err())
		case <-lost.C:
			if !conn.Connected() {
				return unknown{fmt.Errorf("cannot %s %s: the connection to systemd was lost", verb, unit), ErrLost}
			}
		}
	}
}

// Unit is the state of a service.
type Unit struct {
	Load    string // loaded, not-found, masked, …
	Active  string // active, reloading, inactive, failed, activating, deactivating
	Sub     string
	MainPID int
	// Started is when the main process was started, or the zero time if there is none.
	Started time.Time
	// StartedSinceBoot is the same on the kernel's monotonic clock, which cannot be changed.
	StartedSinceBoot time.Duration
}

// Running reports whether the service runs, so that it can be reloaded.
func (u Unit) Running() bool { return u.Active == "active" || u.Active == "reloading" }

// Service returns the state of a service.
func (b *Bus) Service(ctx context.Context, unit string) (Unit, error) {
	conn, err := b.connect(ctx)
	if err != nil {
		return Unit{}, fmt.Errorf("cannot read the state of %s: %w", unit, err)
	}
	props, err := conn.GetAllPropertiesContext(ctx, unit)
	if err != nil {
		return Unit{}, fmt.Errorf("cannot read the state of %s: %w", unit, err)
	}
	return unitOf(props), nil
}

// unitOf returns the properties that are needed. It ignores properties with an unexpected type.
func unitOf(props map[string]any) Unit {
	var u Unit
	u.Load, _ = props["LoadState"].(string)
	u.Active, _ = props["ActiveState"].(string)
	u.Sub, _ = props["SubState"].(string)
	if pid, ok := props["MainPID"].(uint32); ok {
		u.MainPID = int(pid)
	}
	if usec, ok := props["ExecMainStartTimestamp"].(uint64); ok && usec > 0 && u.MainPID != 0 {
		u.Started = time.UnixMicro(int64(usec))
	}
	if usec, ok := props["ExecMainStartTimestampMonotonic"].(uint64); ok && u.MainPID != 0 {
		u.StartedSinceBoot = time.Duration(usec) * time.Microsecond
	}
	return u
}
