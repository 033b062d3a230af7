package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// WatchFresh starts to request a URL at a fixed interval, each time over a new connection, without waiting for earlier
// answers. So the length of an outage is accurate to one interval, however long a request takes. A request without an answer
// within timeout has failed.
func (c *Client) WatchFresh(ctx context.Context, url string, interval, timeout time.Duration) *Watch {
	open := NewOpenRequests(interval, timeout)
	return newWatch(ctx, interval, func(ctx context.Context, w *Watch) {
		open.Go(func() {
			body, err := c.ask(ctx, url, timeout)
			if ctx.Err() == nil {
				w.note(body, err)
			}
		})
	}, open.Wait)
}

// OpenRequests limits the number of requests that a client has open at the same time.
type OpenRequests struct {
	slots chan struct{}
	wg    sync.WaitGroup
}

// NewOpenRequests allows twice the number of requests that are open if one is sent each interval and each ends within
// timeout, because requests end late on a busy machine.
func NewOpenRequests(interval, timeout time.Duration) *OpenRequests {
	return &OpenRequests{slots: make(chan struct{}, 2*(timeout/max(interval, 1)+1))}
}

// Go calls request on a new goroutine. If the limit is reached, it does not call it.
func (o *OpenRequests) Go(request func()) {
	select {
	case o.slots <- struct{}{}:
	default:
		return
	}
	o.wg.Go(func() {
		defer func() { <-o.slots }()
		request()
	})
}

// Wait waits until no request is open.
func (o *OpenRequests) Wait() { o.wg.Wait() }

// WatchKeptAlive starts to request a URL over one connection at a fixed interval, one request after the other. After turns
// requests it opens a new connection, as clients and proxies do. It does not retry: a request on a connection that was
// closed has failed, although RFC 9110 (9.2.2) would allow a client to send a GET again.
func (c *Client) WatchKeptAlive(ctx context.Context, url string, interval, timeout time.Duration, turns int) *Watch {
	s := &session{client: c, url: url, turns: turns}
	return newWatch(ctx, interval, func(ctx context.Context, w *Watch) {
		body, err := s.ask(ctx, timeout)
		if ctx.Err() == nil {
			w.note(body, err)
		}
	}, s.hangUp)
}

// session is a client's connection that is kept alive.
type session struct {
	client *Client
	url    string
	turns  int // maximum number of requests per connection

	conn net.Conn // nil if there is none
	in   *bufio.Reader
	left int
}

// ask sends a request over the session's connection. A status other than 200 is an error.
func (s *session) ask(ctx context.Context, timeout time.Duration) (body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return "", err
	}
	if s.conn == nil {
		if s.conn, err = s.client.Dial(ctx, "tcp", req.URL.Host); err != nil {
			s.conn = nil
			return "", err
		}
		s.in, s.left = bufio.NewReader(s.conn), s.turns
	}
	conn := s.conn
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	body, last, err := s.exchange(req)
	s.left--
	if err != nil || last || s.left == 0 {
		s.hangUp()
	}
	return body, err
}

func (s *session) exchange(req *http.Request) (body string, last bool, err error) {
	if err := req.Write(s.conn); err != nil {
		return "", true, err
	}
	res, err := http.ReadResponse(s.in, req)
	if err != nil {
		return "", true, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	return string(data), res.Close, err
}

func (s *session) hangUp() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}
