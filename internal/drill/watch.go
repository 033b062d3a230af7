package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/lab"
)

// A client sends each request over a new connection, and does not wait for earlier answers, so that the length of an outage
// is accurate to one interval.
const (
	askInterval = 5 * time.Millisecond
	askTimeout  = 500 * time.Millisecond
)

// watch is a client that sends requests at a fixed interval, and records answers and failures.
type watch struct {
	question
	client *http.Client
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	answers  []time.Time // times of the answers
	failures []time.Time // times at which the unanswered requests were sent
	why      string      // reason of the last failure
}

func newWatch(ctx context.Context, client *lab.Client, q question) *watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{question: q, cancel: cancel, done: make(chan struct{}), client: q.httpClient(client)}
	go w.run(ctx)
	return w
}

func (w *watch) run(ctx context.Context) {
	defer close(w.done)
	open := lab.NewOpenRequests(askInterval, askTimeout)
	defer open.Wait()
	tick := time.NewTicker(askInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			open.Go(func() { w.ask(ctx) })
		case <-ctx.Done():
			return
		}
	}
}

func (w *watch) ask(ctx context.Context) {
	sent := time.Now()
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err := get(asking, w.client, w.question)
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.failures, w.why = append(w.failures, sent), reason(err)
		return
	}
	w.answers = append(w.answers, time.Now())
}

// reason returns why a request failed, without the URL.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %v", askTimeout)
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return err.Error()
}

// get sends a request. A response of haproxy itself, because it has no server (502, 503, 504), does not count as an answer.
func get(ctx context.Context, client *http.Client, q question) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.url, nil)
	if err != nil {
		return err
	}
	req.Host = q.host
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)); err != nil {
		return err
	}
	if res.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

func (w *watch) stop() {
	w.cancel()
	<-w.done
}

// seen returns the answers and failures since a time.
func (w *watch) seen(since time.Time) (answers, failures []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return after(w.answers, since), after(w.failures, since)
}

// forget removes records before a time, because a drill may take long.
func (w *watch) forget(before time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers, w.failures = after(w.answers, before), after(w.failures, before)
}

func (w *watch) lastFailure() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// steady reports whether the client got answers without a gap for the time d, up to now.
func (w *watch) steady(now time.Time, d time.Duration) bool {
	const most = 150 * time.Millisecond // a machine that boots others may be busy for that long
	answers, _ := w.seen(now.Add(-d))
	last := now.Add(-d)
	for _, a := range append(answers, now) {
		if a.Sub(last) > most {
			return false
		}
		last = a
	}
	return len(answers) > 0
}
