package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/agent/contain"
	"github.com/hapair/hapair/internal/agent/process"
	"github.com/hapair/hapair/internal/health"
	"github.com/hapair/hapair/internal/keepalived"
)

// How the tracker asks. Each time that it wakes up costs a processor some 200 µs: at rest it does so for nothing else, and
// wakes up no other thread (see package hush). A haproxy that was stopped right after an answer is known after askEvery and
// two slices.
const (
	askEvery  = 180 * time.Millisecond
	askTime   = 500 * time.Millisecond // for one answer; it asks twice before it says that haproxy is stuck
	slice     = 50 * time.Millisecond  // of askTime: then it looks whether haproxy was stopped
	stuckTime = 10 * time.Second       // then a haproxy that still does not answer is restarted
)

// tracker tells keepalived by its track file whether haproxy answers: 0, or 1 for FAULT. It asks over a connection that
// stays, and holds a pidfd of the worker, so that a haproxy that died is known at once.
type tracker struct {
	file, socket, mark string
	log                *slog.Logger
	// restart ends a haproxy that stays stuck. It is called once, until haproxy has answered again.
	restart func(ctx context.Context)
	panics  *contain.Panics
	// point is called with the name of each step; nil: it is not. A test has it panic.
	point func(name string)

	stuck     time.Duration // by the loop alone: how long haproxy has not answered
	restarted bool

	mu    sync.Mutex
	said  string // what the file says
	why   error  // why haproxy does not serve
	given error  // why this node is to hold no VIP though haproxy serves
}

// run writes the track file until ctx ends; then the file says 0, or 1 under maintenance: a daemon that is gone must not
// take a VIP off a healthy node, and the track_script looks on.
func (t *tracker) run(ctx context.Context) {
	defer func() { t.say(nil); t.look() }()
	due, stop, err := pulse(askEvery)
	if err != nil {
		t.log.Error("cannot follow haproxy", "error", err)
		return
	}
	defer stop()
	for ctx.Err() == nil {
		start := time.Now()
		why := t.followed(ctx, due)
		t.panics.Guard(trackPart, func() {
			t.say(why)
			t.linger(ctx, why, time.Since(start))
		})
		select {
		case <-ctx.Done():
		case <-time.After(askEvery / 2):
		}
	}
}

// trackPart is what the log and the status call the tracker.
const trackPart = "the track file"

// followed is follow, but a panic does not leave the file as it was: haproxy is asked once more in the plainest way. If that
// panics, too, the file says 0, and the track_script decides alone.
func (t *tracker) followed(ctx context.Context, due <-chan struct{}) (why error) {
	if t.panics.Contain(trackPart, func() error { why = t.follow(ctx, due); return nil }) == nil {
		return why
	}
	if t.panics.Contain(trackPart, func() error { why = t.other(); return nil }) != nil {
		return nil
	}
	return why
}

// step reports a step to the test.
func (t *tracker) step(name string) {
	if t.point != nil {
		t.point(name)
	}
}

// follow asks one worker whenever it is due, until it is not the one to ask any more, and tells why not; nil where another
// one serves, or ctx has ended.
func (t *tracker) follow(ctx context.Context, due <-chan struct{}) error {
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
func (t *tracker) connect() (*health.Conn, health.Info, error) {
	deadline := time.Now().Add(askTime)
	conn, err := health.Dial(t.socket, deadline)
	if err != nil {
		return nil, health.Info{}, err
	}
	var info health.Info
	if err = conn.Interactive(deadline); err == nil {
		if err = conn.Begin(deadline); err == nil {
			info, err = conn.Answer(deadline)
		}
	}
	if err == nil && info.Stopping {
		err = fmt.Errorf("haproxy's worker %d is stopping", info.PID)
	}
	if err != nil {
		conn.Close()
		return nil, health.Info{}, err
	}
	return conn, info, nil
}

// errStopped says that haproxy does not answer, and cannot.
var errStopped = errors.New("haproxy is stopped")

// ask asks a worker. The time that it has is counted in slices that this process was awake for: where it was paused itself,
// with the whole machine for instance, silence says nothing. A process that was stopped needs no more than one slice.
func (t *tracker) ask(conn *health.Conn, pid int) (info health.Info, err error) {
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

// another tells whether another worker serves than one that was stopped. It would answer at once.
func (t *tracker) another(why error) error {
	if info, err := health.Ask(t.socket, time.Now().Add(slice)); err == nil && !info.Stopping {
		return nil
	}
	return why
}

// other tells why no worker serves, or nil. The one that was asked ended, or is about to, or keeps silent: after a reload
// another one serves. An answer that came late because this process was paused is asked for again.
func (t *tracker) other() error {
	var err error
	for range 3 {
		start := time.Now()
		var info health.Info
		info, err = health.Ask(t.socket, start.Add(askTime))
		if err == nil && !info.Stopping {
			return nil
		}
		if err == nil {
			// The old worker may answer for some milliseconds after a reload.
			err = fmt.Errorf("haproxy's worker %d is stopping", info.PID)
			time.Sleep(slice / 2)
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) < askTime+slice {
			return err
		}
	}
	return err
}

// linger counts how long haproxy has not answered, and has it restarted. One that has ended is systemd's to start again.
// What an operator does to a node in maintenance is left alone.
func (t *tracker) linger(ctx context.Context, why error, since time.Duration) {
	if !errors.Is(why, os.ErrDeadlineExceeded) && !errors.Is(why, errStopped) || t.maintenance() != nil {
		t.stuck = 0
		return
	}
	t.stuck += min(since, 2*askTime) + askEvery/2 // and not how long this process was paused
	if t.stuck < stuckTime || t.restarted || t.restart == nil {
		return
	}
	t.restarted = true
	go t.panics.Guard("the restart of haproxy", func() { t.restart(ctx) })
}

// give has keepalived give the VIPs away, for a reason, or lets it have them back with nil.
func (t *tracker) give(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given = why
	t.write()
}

// say tells keepalived why haproxy does not serve; nil: it does.
func (t *tracker) say(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if why == nil && t.why == nil && t.said != "" {
		return // nothing new, as with nearly every answer: the mark is looked at by look
	}
	t.why = why
	t.write()
}

// look looks whether the mark came or went: whoever sets it with this daemon says so by give.
func (t *tracker) look() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.write()
}

// maintenance tells that this node is to hold no VIP, or nil.
func (t *tracker) maintenance() error {
	if _, err := os.Lstat(t.mark); err == nil {
		return health.ErrMaintenance
	}
	return nil
}

// write writes what keepalived is to know, when it is something else than before.
func (t *tracker) write() {
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
	if err := keepalived.WriteTrackFile(t.file, word); err != nil {
		t.log.Error("cannot write the track file", "file", t.file, "error", err)
		return
	}
	if t.said != "" || why != nil {
		t.log.Info("track file", "says", word[:1], "why", fmt.Sprint(why))
	}
	t.said = word
}
