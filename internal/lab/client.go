package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Client is a machine without an operating system: a network namespace with an address on one network, from which this
// process sends requests.
type Client struct {
	name string
	lab  *Lab
	http *http.Client
}

// AddClient adds a client with addresses on a network.
func (l *Lab) AddClient(ctx context.Context, name, networkName string, addresses ...netip.Prefix) (*Client, error) {
	c := &Client{name: "client-" + name, lab: l}
	c.http = &http.Client{Transport: c.Transport(nil)}
	err := l.newNetns(ctx, c.name)
	if err == nil {
		err = l.plug(c.name, Interface{"eth0", networkName})
	}
	if err == nil {
		err = c.setUp(addresses)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot add client %s: %w", name, err)
	}
	return c, nil
}

func (c *Client) setUp(addresses []netip.Prefix) error {
	h, err := linksOf(c.lab.netnsPath(c.name))
	if err != nil {
		return err
	}
	defer h.Close()
	for _, name := range []string{"lo", "eth0"} {
		if err := setLink(h, name, true); err != nil {
			return err
		}
	}
	for _, a := range addresses {
		if err := addAddress(h, "eth0", a); err != nil {
			return err
		}
	}
	return nil
}

// Dial connects to an IP address and port from the client. The network must be tcp.
func (c *Client) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network != "tcp" {
		return nil, net.UnknownNetworkError(network)
	}
	return dialIn(ctx, c.lab.netnsPath(c.name), address)
}

// Get requests a URL over a new connection, and returns status and body.
func (c *Client) Get(ctx context.Context, url string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	return c.Do(req)
}

// Do sends a request over a new connection, and returns status and body. It reads at most 1 MiB of the body.
func (c *Client) Do(req *http.Request) (status int, body string, err error) {
	res, err := c.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, string(data), err
}

// WaitAnswer repeats a request until the answer has status 200.
func (c *Client) WaitAnswer(ctx context.Context, url string) (body string, err error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		body, err := c.ask(ctx, url, time.Second)
		if err == nil {
			return body, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", fmt.Errorf("cannot get an answer from %s: %w", url, err)
		}
	}
}

// ask sends a request with a time limit. A status other than 200 is an error.
func (c *Client) ask(ctx context.Context, url string, timeout time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	status, body, err := c.Get(ctx, url)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return body, err
}
