package lab_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
)

// TestWatchesCountWhatIsLost uses a server that closes each connection at its fifth request without an answer. A client that
// keeps a connection alive loses that request. A client that opens a new connection for each request loses nothing.
func TestWatchesCountWhatIsLost(t *testing.T) {
	l := labtest.Lab(t)
	client, err := l.AddClient(t.Context(), "user", "public", netip.MustParsePrefix("192.168.1.100/24"))
	if err != nil {
		t.Fatal(err)
	}
	var turns [1 << 16]atomic.Int32 // requests of each connection, by its remote port
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if turns[netip.MustParseAddrPort(r.RemoteAddr).Port()].Add(1) == 5 {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, "here")
	})
	if err := l.Serve("public", netip.MustParsePrefix("192.168.1.1/24"), 80, handler); err != nil {
		t.Fatal(err)
	}
	const url = "http://192.168.1.1:80/"
	ready, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := client.WaitAnswer(ready, url); err != nil { // losses before the links are up do not count
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		watch *lab.Watch
		loses bool
	}{
		{"fresh", client.WatchFresh(t.Context(), url, time.Millisecond, time.Second), false},
		{"kept alive for four", client.WatchKeptAlive(t.Context(), url, time.Millisecond, time.Second, 4), false},
		{"kept alive", client.WatchKeptAlive(t.Context(), url, time.Millisecond, time.Second, 100), true},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil && test.watch.Report().Answers["here"] < 20 {
			<-tick.C
		}
		if r := test.watch.Stop(); r.Answers["here"] < 20 || (r.Failures > 0) != test.loses {
			t.Errorf("report of %s: %+v", test.name, r)
		}
	}
}
