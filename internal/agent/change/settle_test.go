package change

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestSettleWaitsForQuietButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := make(chan struct{}, 1)
		start := time.Now()
		if !settle(t.Context(), events) || time.Since(start) != quiet {
			t.Errorf("without events it waited %v, want %v", time.Since(start), quiet)
		}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { // an editor that never stops
			defer close(stopped)
			tick := time.NewTicker(quiet / 10)
			defer tick.Stop()
			for {
				select {
				case events <- struct{}{}:
				case <-ctx.Done():
					return
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		}()
		start = time.Now()
		if !settle(t.Context(), events) || time.Since(start) != longest {
			t.Errorf("under steady events it waited %v, want %v", time.Since(start), longest)
		}
		cancel()
		<-stopped
		ended, end := context.WithCancel(t.Context())
		end()
		if settle(ended, make(chan struct{})) {
			t.Error("it settled though it was to end")
		}
	})
}

func TestSettledWaitsForTheSameBytesTwice(t *testing.T) {
	bn := newBench(t)
	n := 0
	got, err := settled(t.Context(), func() ([]pending, error) {
		if n < 3 {
			n++
			bn.write(bn.a, string(rune('0'+n)))
		}
		return bn.look()
	})
	if err != nil || len(got) != 1 || string(got[0].snapshot.Files[0].Data) != "3" {
		t.Fatalf("%+v, %v", got, err)
	}
}
