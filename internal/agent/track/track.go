// Package track reports in keepalived's track file whether haproxy answers, and restarts a haproxy that stays stuck.
package track

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/agent/check"
	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/process"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/keepalived"
)

// How the tracker asks. At rest this is nearly all that the agent does: 0.2 % of a processor and 92 wake-ups per second. (Raw
// system calls instead of package net made that 0.1 % and 20.) A haproxy that was stopped right after an answer is noticed
// after askEvery and two slices.
const (
	askEvery  = 180 * time.Millisecond
	askTime   = 500 * time.Millisecond // for one answer; haproxy is stuck if two questions are not answered
	slice     = 50 * time.Millisecond  // of askTime, after which the tracker looks whether haproxy was stopped
	stuckTime = 10 * time.Second       // after this time without an answer haproxy is restarted
)

// Tracker writes to keepalived's track file whether haproxy answers: 0, or 1 for FAULT. It asks over a connection that stays
// open, and holds a pidfd of the worker, so that it notices the worker's death at once.
type Tracker struct {
	File, Socket, Mark string
	Log                *slog.Logger
	// Restart restarts a stuck haproxy. It is called once, and again only after haproxy has answered.
	Restart func(ctx context.Context)
	Panics  *contain.Panics
	// Point is called with the name of each step; nil: no calls. A test makes it panic.
	Point func(name string)

	stuck     time.Duration // used by the loop only: how long haproxy has not answered
	restarted bool

	mu      sync.Mutex
	written string // the content of the file
	why     error  // the reason why haproxy does not serve
	given   error  // the reason why this node must hold no VIP although haproxy serves
}

// Run writes the track file until ctx ends. Then it writes 0, or 1 during maintenance: the VIPs must stay on a healthy node
// whose daemon ends, and the track_script still checks haproxy.
func (t *Tracker) Run(ctx context.Context) {
	defer func() { t.report(nil); t.Look() }()
	due := time.NewTicker(askEvery)
	defer due.Stop()
	for ctx.Err() == nil {
		start := time.Now()
		why := t.followed(ctx, due.C)
		t.Panics.Guard(Part, func() {
			t.report(why)
			t.linger(ctx, why, time.Since(start))
		})
		select {
		case <-ctx.Done():
		case <-time.After(askEvery / 2):
		}
	}
}

// Part is the tracker's name in the log and the status.
const Part = "the track file"

// followed is like follow, but contains a panic. Then it asks haproxy once more, in a simpler way. If that panics too, it
// returns nil, so that the file says 0 and only the track_script decides.
func (t *Tracker) followed(ctx context.Context, due <-chan time.Time) (why error) {
	if t.Panics.Contain(Part, func() error { why = t.follow(ctx, due); return nil }) == nil {
		return why
	}
	if t.Panics.Contain(Part, func() error { why = t.other(); return nil }) != nil {
		return nil
	}
	return why
}

// step reports a step to the test.
func (t *Tracker) step(name string) {
	if t.Point != nil {
		t.Point(name)
	}
}

// follow asks one worker whenever a question is due, until the worker ends, stops or does not answer. It returns the reason why
// haproxy does not serve; nil if another worker serves, or ctx has ended.
func (t *Tracker) follow(ctx context.Context, due <-chan time.Time) error {
	conn, info, err := t.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	ended, done, err := process.Exited(info.PID)
	if err == nil {
		defer done()
	} // otherwise it ended meanwhile, or runs in another PID namespace: then only its answers count
	t.stuck, t.restarted = 0, false
	for {
		t.report(nil)
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
			return t.other()
		case <-due:
		}
		t.step("asks haproxy")
		switch now, err := t.ask(conn, info.PID); {
		case errors.Is(err, errStopped):
			return t.another(err)
		case err != nil || now.Stopping:
			return t.other()
		}
	}
}

// connect opens a connection that stays open, and asks once.
func (t *Tracker) connect() (*haproxy.Conn, haproxy.Info, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	conn, err := haproxy.Socket(t.Socket).Dial(ctx)
	if err != nil {
		return nil, haproxy.Info{}, err
	}
	deadline, _ := ctx.Deadline()
	var info haproxy.Info
	if err = conn.Begin(deadline); err == nil {
		info, err = conn.Answer(deadline)
	}
	if err == nil && info.Stopping {
		err = fmt.Errorf("haproxy's worker %d is stopping", info.PID)
	}
	if err != nil {
		conn.Close()
		return nil, haproxy.Info{}, err
	}
	return conn, info, nil
}

// errStopped reports that haproxy was stopped by a signal.
var errStopped = errors.New("haproxy is stopped")

// ask asks a worker. The time limit is counted in slices in which this process was running: if it was paused itself, for
// example with the whole machine, a missing answer says nothing. A stopped process is noticed after one slice.
func (t *Tracker) ask(conn *haproxy.Conn, pid int) (info haproxy.Info, err error) {
	if err := conn.Begin(time.Now().Add(askTime)); err != nil {
		return info, err
	}
	for awake := time.Duration(0); awake < askTime; awake += slice {
		info, err = conn.Answer(time.Now().Add(slice))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return info, err
		}
		if process.Stopped(pid) {
			return info, fmt.Errorf("%w: its worker %d", errStopped, pid)
		}
	}
	return info, err
}

// another returns nil if another worker serves in place of a stopped one, which would answer at once. Otherwise it returns why.
func (t *Tracker) another(why error) error {
	if info, err := t.info(slice); err == nil && !info.Stopping {
		return nil
	}
	return why
}

// info asks haproxy over a new connection.
func (t *Tracker) info(limit time.Duration) (haproxy.Info, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return haproxy.Socket(t.Socket).ShowInfo(ctx)
}

// silent reports whether an error means that haproxy did not answer in time.
func silent(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// other returns the reason why no worker serves, or nil. The worker that was asked has ended, is about to end or does not
// answer. After a reload another one serves. If this process was paused during a question, it asks again.
func (t *Tracker) other() error {
	var err error
	for range 3 {
		start := time.Now()
		var info haproxy.Info
		info, err = t.info(askTime)
		if err == nil && !info.Stopping {
			return nil
		}
		if err == nil {
			// The old worker may answer for some milliseconds after a reload.
			err = fmt.Errorf("haproxy's worker %d is stopping", info.PID)
			time.Sleep(slice / 2)
			continue
		}
		if !silent(err) || time.Since(start) < askTime+slice {
			return err
		}
	}
	return err
}

// linger counts how long haproxy has not answered, and restarts it after stuckTime. systemd restarts a haproxy that has exited.
// During maintenance the operator decides.
func (t *Tracker) linger(ctx context.Context, why error, since time.Duration) {
	if !silent(why) && !errors.Is(why, errStopped) || t.maintenance() != nil {
		t.stuck = 0
		return
	}
	t.stuck += min(since, 2*askTime) + askEvery/2 // without the time in which this process was paused
	if t.stuck < stuckTime || t.restarted || t.Restart == nil {
		return
	}
	t.restarted = true
	go t.Panics.Guard("the restart of haproxy", func() { t.Restart(ctx) })
}

// Give makes keepalived give the VIPs away, for a reason; nil ends that.
func (t *Tracker) Give(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given = why
	t.write()
}

// Start writes the file before keepalived reads it: 0, or 1 during maintenance.
func (t *Tracker) Start() { t.report(nil) }

// report reports to keepalived why haproxy does not serve; nil: it serves.
func (t *Tracker) report(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if why == nil && t.why == nil && t.written != "" {
		return // unchanged, as after nearly every answer; Look checks the mark
	}
	t.why = why
	t.write()
}

// Look checks whether the mark was written or removed. This daemon's own maintenance uses Give.
func (t *Tracker) Look() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.write()
}

// maintenance returns the reason why this node must hold no VIP, or nil.
func (t *Tracker) maintenance() error {
	if _, err := os.Lstat(t.Mark); err == nil {
		return check.ErrMaintenance
	}
	return nil
}

// write writes the track file, if its content changes.
func (t *Tracker) write() {
	why := t.why
	if why == nil {
		why = t.given
	}
	if why == nil {
		why = t.maintenance()
	}
	word := "0\n"
	if why != nil {
		word = "1\n"
	}
	if word == t.written {
		return
	}
	if err := keepalived.WriteTrackFile(t.File, word); err != nil {
		t.Log.Error("cannot write the track file", "file", t.File, "error", err)
		return
	}
	if t.written != "" || why != nil {
		t.Log.Info("track file", "says", word[:1], "why", fmt.Sprint(why))
	}
	t.written = word
}
