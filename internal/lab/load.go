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

// WatchFresh begins to ask for a URL, a request over a connection of its own each interval, whether those before it have
// been answered or not: an outage is seen to the interval, however long a client waits. A request without an answer within
// timeout has failed.
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

// OpenRequests bounds the requests that a client has open at once.
type OpenRequests struct {
	slots chan struct{}
	wg    sync.WaitGroup
}

// NewOpenRequests has room for twice the requests that are open if one is sent each interval and each ends within timeout: a
// machine that is busy ends them late.
func NewOpenRequests(interval, timeout time.Duration) *OpenRequests {
	return &OpenRequests{slots: make(chan struct{}, 2*(timeout/max(interval, 1)+1))}
}

// Go makes a request on a goroutine of its own. If there is no room for it, it is not made.
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

// WatchKeptAlive begins to ask for a URL over one connection, a request each interval, one after the other. After turns
// requests it takes a new connection, as clients and the proxies before them do. Nothing is asked twice: a request on a
// connection that was closed under it has failed, although RFC 9110 (9.2.2) would let a client send a GET again.
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
	turns  int // how many requests a connection is for

	conn net.Conn // nil: there is none now
	in   *bufio.Reader
	left int
}

// ask is a request over the session's connection, to which only 200 is an answer.
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
