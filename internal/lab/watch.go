package lab

import (
	"context"
	"sync"
	"time"
)

// Watch is a client that sends requests regularly, and records how long it got no answer.
type Watch struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	answers  map[string]int // by body
	failures int
	lastErr  error
	last     time.Time // time of the last answer, or of the start
	longest  Gap
}

// Gap is a time without an answer: from the last answer before it to the first one after it.
type Gap struct {
	From, To time.Time
}

// Duration returns the length of the gap.
func (g Gap) Duration() time.Duration { return g.To.Sub(g.From) }

// WatchReport is the result of a watch.
type WatchReport struct {
	Answers  map[string]int // number of answers for each body
	Failures int            // requests without an answer of status 200
	LastErr  error          // error of the last failed request
	Longest  Gap            // the longest time without an answer, including the current one
}

// Watch starts to request a URL, one request after another, at most one per interval. A request without an answer within
// timeout has failed.
func (c *Client) Watch(ctx context.Context, url string, interval, timeout time.Duration) *Watch {
	return newWatch(ctx, interval, func(ctx context.Context, w *Watch) {
		body, err := c.ask(ctx, url, timeout)
		if ctx.Err() == nil {
			w.note(body, err)
		}
	}, func() {})
}

// newWatch calls ask at most once per interval until the watch is stopped, and then calls end.
func newWatch(ctx context.Context, interval time.Duration, ask func(context.Context, *Watch), end func()) *Watch {
	ctx, cancel := context.WithCancel(ctx)
	w := &Watch{cancel: cancel, done: make(chan struct{}), answers: map[string]int{}, last: time.Now()}
	go func() {
		defer close(w.done)
		defer end()
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			ask(ctx, w)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return w
}

func (w *Watch) note(body string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.failures++
		w.lastErr = err
		return
	}
	now := time.Now()
	if len(w.answers) < 1000 { // a server whose answers always differ must not fill the memory
		w.answers[body]++
	}
	if gap := (Gap{w.last, now}); gap.Duration() > w.longest.Duration() {
		w.longest = gap
	}
	w.last = now
}

// Report returns the result up to now.
func (w *Watch) Report() WatchReport {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := WatchReport{Answers: map[string]int{}, Failures: w.failures, LastErr: w.lastErr, Longest: w.longest}
	for body, n := range w.answers {
		r.Answers[body] = n
	}
	if gap := (Gap{w.last, time.Now()}); gap.Duration() > r.Longest.Duration() {
		r.Longest = gap
	}
	return r
}

// Reset discards the results, so that the next report begins now.
func (w *Watch) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers, w.failures, w.lastErr, w.last, w.longest = map[string]int{}, 0, nil, time.Now(), Gap{}
}

// Stop ends the watch, and returns its result.
func (w *Watch) Stop() WatchReport {
	w.cancel()
	<-w.done
	return w.Report()
}
