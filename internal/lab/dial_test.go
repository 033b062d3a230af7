package lab_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/testing/labtest"
)

// threads returns the number of threads of this process.
func threads(t *testing.T) int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// A client sends requests to an address without a machine every millisecond for two seconds. The number of open requests
// must be limited; they must not use threads, and must end with the client. With dials that outlive their requests there
// would be 2,000 threads.
func TestRequestsWithoutAnAnswerAreBounded(t *testing.T) {
	l := labtest.Lab(t)
	client, err := l.AddClient(t.Context(), "user", "public", netip.MustParsePrefix("192.168.1.100/24"))
	if err != nil {
		t.Fatal(err)
	}
	before, goroutines := threads(t), runtime.NumGoroutine()
	const interval, timeout = time.Millisecond, 100 * time.Millisecond
	watch := client.WatchFresh(t.Context(), "http://192.168.1.99:80/", interval, timeout)
	most, end := 0, time.Now().Add(2*time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); time.Now().Before(end); <-tick.C {
		most = max(most, threads(t))
	}
	if most > before+100 {
		t.Errorf("%d threads, %d before", most, before)
	}
	if r := watch.Stop(); r.Failures < 100 || len(r.Answers) > 0 {
		t.Errorf("the watch's report is %+v", r)
	}
	err = poll.Nil(bounded(t, 5*time.Second), 10*time.Millisecond, func() error {
		if now := runtime.NumGoroutine(); now > goroutines+2 {
			return errors.New("goroutines are still running after the watch")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func bounded(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// Transport reports what happened to a connection: refused, answered, or no answer after it was accepted.
func TestTransport(t *testing.T) {
	l := labtest.Lab(t)
	client, err := l.AddClient(t.Context(), "user", "public", netip.MustParsePrefix("192.168.1.100/24"))
	if err != nil {
		t.Fatal(err)
	}
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/early":
			w.WriteHeader(http.StatusEarlyHints)
		case "/silent":
			<-silent
		}
		if !r.Close {
			t.Errorf("%s does not ask for the connection to be closed", r.URL)
		}
	})
	if err := l.Serve("public", netip.MustParsePrefix("192.168.1.1/24"), 80, handler); err != nil {
		t.Fatal(err)
	}
	if err := l.AddAddress("public", netip.MustParsePrefix("fd00:1::1/64")); err != nil {
		t.Fatal(err)
	}
	if _, err := client.WaitAnswer(bounded(t, 10*time.Second), "http://192.168.1.1:80/"); err != nil {
		t.Fatal(err)
	}
	if status, _, err := client.Get(bounded(t, 10*time.Second), "http://192.168.1.1/early"); status != http.StatusOK || err != nil {
		t.Errorf("after an informational response: status %d, %v", status, err)
	}
	if _, _, err := client.Get(bounded(t, 10*time.Second), "http://192.168.1.1:81/"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port that is not open: %v", err)
	}
	if _, _, err := client.Get(bounded(t, 100*time.Millisecond), "http://192.168.1.1/silent"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that does not answer: %v", err)
	}
	secure := &http.Client{Transport: client.Transport(&tls.Config{InsecureSkipVerify: true})}
	req, err := http.NewRequestWithContext(bounded(t, 100*time.Millisecond), http.MethodGet, "https://192.168.1.1:80/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secure.Do(req); err == nil {
		t.Error("a request to a server without TLS succeeded")
	}
}
