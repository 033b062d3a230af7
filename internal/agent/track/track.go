// Package track tells keepalived, by a track file, whether haproxy answers, and restarts a haproxy that stays stuck.
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
	askTime   = 500 * time.Millisecond // for one answer; it asks twice before it says that haproxy is stuck
	slice     = 50 * time.Millisecond  // of askTime: then it looks whether haproxy was stopped
	stuckTime = 10 * time.Second       // then a haproxy that still does not answer is restarted
)

// Tracker tells keepalived by its track file whether haproxy answers: 0, or 1 for FAULT. It asks over a connection that
// stays, and holds a pidfd of the worker, so that a haproxy that died is known at once.
type Tracker struct {
	File, Socket, Mark string
	Log                *slog.Logger
	// Restart ends a haproxy that stays stuck. It is called once, until haproxy has answered again.
	Restart func(ctx context.Context)
	Panics  *contain.Panics
	// Point is called with the name of each step; nil: it is not. A test has it panic.
	Point func(name string)

	stuck     time.Duration // by the loop alone: how long haproxy has not answered
	restarted bool

	mu    sync.Mutex
	said  string // what the file says
	why   error  // why haproxy does not serve
	given error  // why this node is to hold no VIP though haproxy serves
}

// Run writes the track file until ctx ends; then the file says 0, or 1 under maintenance: a daemon that is gone must not
// take a VIP off a healthy node, and the track_script looks on.
func (t *Tracker) Run(ctx context.Context) {
	defer func() { t.say(nil); t.Look() }()
	due := time.NewTicker(askEvery)
	defer due.Stop()
	for ctx.Err() == nil {
		start := time.Now()
		why := t.followed(ctx, due.C)
		t.Panics.Guard(Part, func() {
			t.say(why)
			t.linger(ctx, why, time.Since(start))
		})
		select {
		case <-ctx.Done():
		case <-time.After(askEvery / 2):
		}
	}
}

// Part is what the log and the status call the tracker.
const Part = "the track file"

// followed is follow, but a panic does not leave the file as it was: haproxy is asked once more in the plainest way. If that
// panics, too, the file says 0, and the track_script decides alone.
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

// follow asks one worker whenever it is due, until it is not the one to ask any more, and tells why not; nil where another
// one serves, or ctx has ended.
func (t *Tracker) follow(ctx context.Context, due <-chan time.Time) error {
	conn, info, err := t.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	ended, done, err := process.Exited(info.PID)
	if err == nil {
		defer done()
	} // else it ended meanwhile, or lives where it cannot be seen: its answers alone must do
	t.stuck, t.restarted = 0, false
	for {
		t.say(nil)
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

// connect makes a connection that stays, and asks once.
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

// errStopped says that haproxy does not answer, and cannot.
var errStopped = errors.New("haproxy is stopped")

// ask asks a worker. The time that it has is counted in slices that this process was awake for: where it was paused itself,
// with the whole machine for instance, silence says nothing. A process that was stopped needs no more than one slice.
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

// another reports whether another worker serves than one that was stopped. It would answer at once.
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

// other returns why no worker serves, or nil. The one that was asked ended, or is about to, or keeps silent: after a reload
// another one serves. An answer that came late because this process was paused is asked for again.
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

// linger counts how long haproxy has not answered, and has it restarted. One that has ended is systemd's to start again.
// What an operator does to a node in maintenance is left alone.
func (t *Tracker) linger(ctx context.Context, why error, since time.Duration) {
	if !silent(why) && !errors.Is(why, errStopped) || t.maintenance() != nil {
		t.stuck = 0
		return
	}
	t.stuck += min(since, 2*askTime) + askEvery/2 // and not how long this process was paused
	if t.stuck < stuckTime || t.restarted || t.Restart == nil {
		return
	}
	t.restarted = true
	go t.Panics.Guard("the restart of haproxy", func() { t.Restart(ctx) })
}

// Give has keepalived give the VIPs away, for a reason, or lets it have them back with nil.
func (t *Tracker) Give(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given = why
	t.write()
}

// Start makes the file right before keepalived looks at it: 0, or 1 under maintenance.
func (t *Tracker) Start() { t.say(nil) }

// say tells keepalived why haproxy does not serve; nil: it does.
func (t *Tracker) say(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if why == nil && t.why == nil && t.said != "" {
		return // nothing new, as with nearly every answer: the mark is looked at by Look
	}
	t.why = why
	t.write()
}

// Look looks whether the mark came or went: whoever sets it with this daemon says so by Give.
func (t *Tracker) Look() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.write()
}

// maintenance returns why this node must hold no VIP, or nil.
func (t *Tracker) maintenance() error {
	if _, err := os.Lstat(t.Mark); err == nil {
		return check.ErrMaintenance
	}
	return nil
}

// write writes what keepalived is to know, when it is something else than before.
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
	if word == t.said {
		return
	}
	if err := keepalived.WriteTrackFile(t.File, word); err != nil {
		t.Log.Error("cannot write the track file", "file", t.File, "error", err)
		return
	}
	if t.said != "" || why != nil {
		t.Log.Info("track file", "says", word[:1], "why", fmt.Sprint(why))
	}
	t.said = word
}
