package haproxy_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/testing/haproxytest"
)

func TestConnAsksManyTimes(t *testing.T) {
	w := haproxytest.NewWorker(t)
	w.PID.Store(7)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	deadline, _ := ctx.Deadline()
	c, err := haproxy.Socket(w.Path).Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if err := c.Begin(deadline); err != nil {
			t.Fatal(err)
		}
		// After a timeout, the caller can continue to wait for the same answer.
		if _, err := c.Answer(time.Now()); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		got, err := c.Answer(deadline)
		if want := (haproxy.Info{PID: 7, Version: "3.0.11", Uptime: 5 * time.Second}); err != nil || got != want {
			t.Fatalf("Answer = %+v, %v; want %+v", got, err, want)
		}
	}
	if n := w.Connections.Load(); n != 1 {
		t.Fatalf("%d connections were opened, want 1", n)
	}
}

func FuzzParseInfo(f *testing.F) {
	f.Add(haproxytest.Info(7, 0))
	f.Add("Pid: -1\nStopping: \n: \nUptime_sec: 99999999999999999999\n")
	f.Fuzz(func(t *testing.T, answer string) {
		info, err := haproxy.ParseInfo(answer)
		if err == nil && (info.PID <= 0 || info.Uptime < 0) {
			t.Fatalf("ParseInfo(%q) = %+v", answer, info)
		}
	})
}
