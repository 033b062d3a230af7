package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
)

// oneShot is an http.RoundTripper that sends each request over a new connection. Nothing of a request outlives its context.
// http.Transport continues to dial when a request is cancelled, for the next request; a client that regularly requests an
// address that does not answer would have more and more dials in progress.
type oneShot struct {
	client *Client
	tls    *tls.Config
	first  []byte // sent first on each connection
}

// Transport returns a RoundTripper that sends each request over a new connection from the client. Everything of a request
// ends with its context. config is for https; nil means the default.
func (c *Client) Transport(config *tls.Config) http.RoundTripper { return &oneShot{c, config, nil} }

// TransportAfter is like Transport, but first sends some bytes on each connection, such as the header of the PROXY protocol.
func (c *Client) TransportAfter(first []byte, config *tls.Config) http.RoundTripper {
	return &oneShot{c, config, first}
}

func (o *oneShot) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	conn, err := o.client.Dial(ctx, "tcp", hostPort(req.URL))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
	res, err := o.exchange(ctx, conn, req)
	if err != nil {
		stop()
		_ = conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	res.Body = &oneShotBody{res.Body, func() error { stop(); return conn.Close() }}
	return res, nil
}

func (o *oneShot) exchange(ctx context.Context, conn net.Conn, req *http.Request) (*http.Response, error) {
	if _, err := conn.Write(o.first); err != nil {
		return nil, err
	}
	if req.URL.Scheme == "https" {
		config := o.tls.Clone()
		if config == nil {
			config = &tls.Config{}
		}
		if config.ServerName == "" {
			config.ServerName = req.URL.Hostname()
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secure
	}
	req = req.Clone(ctx) // a RoundTripper must not change the request
	req.Close = true
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	for r := bufio.NewReader(conn); ; {
		res, err := http.ReadResponse(r, req)
		if err != nil || res.StatusCode >= http.StatusOK || res.StatusCode == http.StatusSwitchingProtocols {
			return res, err
		}
	}
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// oneShotBody closes the connection when the body of its response is closed.
type oneShotBody struct {
	io.ReadCloser
	end func() error
}

func (b *oneShotBody) Close() error {
	_ = b.ReadCloser.Close()
	return b.end()
}
