package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/hapair/hapair/internal/health"
)

// How the tracker asks.
const (
	askEvery = 100 * time.Millisecond
	askTime  = 500 * time.Millisecond // for one answer; it asks twice before it says that haproxy is stuck
	meter    = 20 * time.Millisecond
)

// tracker tells keepalived by its track file whether haproxy answers: 0, or 1 for FAULT. It asks over a connection that
// stays, and holds a pidfd of the worker, so that a haproxy that died is known at once.
type tracker struct {
	file, socket, mark string
	log                *slog.Logger

	said   string       // what the file says
	paused atomic.Int64 // how long this process did not run, in nanoseconds
}

// run writes the track file until ctx ends; then the file says 0, or 1 under maintenance: a daemon that is gone must not
// take a VIP off a healthy node, and the track_script looks on.
func (t *tracker) run(ctx context.Context) {
	stop := make(chan struct{})
	defer close(stop)
	go pauseMeter{meter, func(d time.Duration) { t.paused.Add(int64(d)) }}.run(stop)
	defer func() { t.say(t.maintenance()) }()
	t.say(t.maintenance())
	for ctx.Err() == nil {
		t.say(t.follow(ctx))
		if !wait(ctx, nil, askEvery/2) {
			return
		}
	}
}

// follow asks one worker until it is not the one to ask any more, and tells why not; nil where another one serves, or ctx
// has ended.
func (t *tracker) follow(ctx context.Context) error {
	conn, info, err := t.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	ended, done, err := exited(info.PID)
	if err != nil {
		// It ended meanwhile, or lives where it cannot be seen: then its answers alone must do.
		ended, done = nil, func() {}
	}
	defer done()
	for {
		t.say(t.maintenance())
		if !wait(ctx, ended, askEvery) {
			if ctx.Err() != nil {
				return nil
			}
			return t.other(info.PID)
		}
		now, err := t.ask(conn)
		if err != nil || now.Stopping {
			return t.other(info.PID)
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
	if err := conn.Interactive(deadline); err != nil {
		conn.Close()
		return nil, health.Info{}, err
	}
	info, err := conn.Info(deadline)
	if err == nil && info.Stopping {
		err = fmt.Errorf("haproxy's worker %d is stopping", info.PID)
	}
	if err != nil {
		conn.Close()
		return nil, health.Info{}, err
	}
	return conn, info, nil
}

func (t *tracker) ask(conn *health.Conn) (health.Info, error) {
	return conn.Info(time.Now().Add(askTime))
}

// other tells why no worker serves, or nil. The one that was asked ended, or is about to, or keeps silent: after a reload
// another one serves. Where this process itself was paused meanwhile, silence says nothing, and it asks again.
func (t *tracker) other(pid int) error {
	var err error
	for range 3 {
		before := t.paused.Load()
		var info health.Info
		info, err = health.Ask(t.socket, time.Now().Add(askTime))
		if err == nil && !info.Stopping {
			return nil
		}
		if err == nil {
			// The old worker may answer for some milliseconds after a reload.
			err = fmt.Errorf("haproxy's worker %d is stopping", info.PID)
			time.Sleep(meter)
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || t.paused.Load() == before {
			return err
		}
	}
	return err
}

// maintenance tells that this node is to hold no VIP, or nil.
func (t *tracker) maintenance() error {
	if _, err := os.Lstat(t.mark); err == nil {
		return health.ErrMaintenance
	}
	return nil
}

// say writes what keepalived is to know, when it is something else than before.
func (t *tracker) say(why error) {
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
	// In place and of the same length: a reader finds the old number or the new one.
	f, err := os.OpenFile(t.file, os.O_WRONLY|os.O_CREATE, 0o644)
	if err == nil {
		_, err = f.WriteAt([]byte(word), 0)
		err = errors.Join(err, f.Truncate(int64(len(word))), f.Close())
	}
	if err != nil {
		t.log.Error("cannot write the track file", "file", t.file, "error", err)
		return
	}
	if t.said != "" || why != nil {
		t.log.Info("track file", "says", word[:1], "why", fmt.Sprint(why))
	}
	t.said = word
}

// wait waits, and returns false where ctx or the process that is watched ended before.
func wait(ctx context.Context, ended <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-ended:
		return false
	case <-timer.C:
		return true
	}
}
