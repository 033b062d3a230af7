package metrics

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// from dials from an address of this machine's loopback.
func from(t *testing.T, source, url string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: 5 * time.Second}
	c, err := d.Dial("tcp4", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends a request over a connection, and leaves it open.
func ask(c net.Conn) error {
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprint(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("status %s", res.Status)
	}
	return err
}

// One or several clients occupy all connections in different ways. Another source must get its answer at once.
func TestOneSourceCannotBlockOthers(t *testing.T) {
	for name, tt := range map[string]struct {
		sources int
		use     func(t *testing.T, c net.Conn)
	}{
		"idle after a request":          {1, func(t *testing.T, c net.Conn) { ask(c) }},
		"silent":                        {1, func(*testing.T, net.Conn) {}},
		"half a request":                {1, func(t *testing.T, c net.Conn) { fmt.Fprint(c, "GET /met") }},
		"idle, from many":               {connections, func(t *testing.T, c net.Conn) { ask(c) }},
		"silent, from many":             {connections, func(*testing.T, net.Conn) {}},
		"half a request, from five":     {5, func(t *testing.T, c net.Conn) { fmt.Fprint(c, "GET /met") }},
		"idle, from more than there is": {3 * connections, func(t *testing.T, c net.Conn) { ask(c) }},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, &Server{Log: slog.New(slog.DiscardHandler), Collect: func(context.Context) Snapshot { return Snapshot{} }})
			for i := range 3 * connections {
				tt.use(t, from(t, fmt.Sprintf("127.0.1.%d", 1+i%tt.sources), url))
			}
			began := time.Now()
			if err := ask(from(t, "127.0.2.1", url)); err != nil {
				t.Errorf("another source got no answer: %v", err)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("the answer to another source took %v", took)
			}
		})
	}
}

// All addresses of an IPv6 /64 are one source, so that one host does not count as many.
func TestIPv6SourceIsASlash64(t *testing.T) {
	l := newLimited(nil, nil)
	admit := func(remote string) (*counted, bool) {
		source, ok := l.allowed(end{local: "[2001:db8::1]:9736", remote: remote})
		if !ok {
			t.Fatal(remote)
		}
		c := &counted{owner: l, source: source, state: http.StateIdle, since: time.Now()}
		victim, ok := l.admit(c)
		if !ok {
			t.Errorf("%s was not admitted", remote)
		}
		return victim, ok
	}
	for i := range perSource {
		if victim, _ := admit(fmt.Sprintf("[2001:db8:1::%d]:1", i+1)); victim != nil {
			t.Errorf("connection %d replaced another one", i)
		}
	}
	victim, _ := admit("[2001:db8:1:0:ffff::9]:1")
	if want := netip.MustParsePrefix("2001:db8:1::/64"); victim == nil || victim.source != want || len(l.open) != perSource {
		t.Errorf("one more connection of the network replaced %v, and %d are open", victim, len(l.open))
	}
	if victim, _ := admit("[2001:db8:1:1::9]:1"); victim != nil {
		t.Error("a connection of another network replaced one of this network")
	}
	if got, _ := l.allowed(end{local: "[::ffff:192.0.2.1]:1", remote: "[::ffff:192.0.2.7]:1"}); got != netip.MustParsePrefix("192.0.2.7/32") {
		t.Errorf("an IPv4 address mapped to IPv6 is the source %v", got)
	}
}

// If all sources have equally many connections, a request that is being answered must not be interrupted for a new one.
func TestAnswerIsNotInterrupted(t *testing.T) {
	l := newLimited(nil, nil)
	for i := range connections {
		c := &counted{owner: l, source: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32), state: http.StateActive, since: time.Now()}
		if _, ok := l.admit(c); !ok {
			t.Fatal(i)
		}
	}
	if victim, ok := l.admit(&counted{owner: l, source: netip.MustParsePrefix("198.51.100.1/32")}); ok || victim != nil {
		t.Errorf("the new connection replaced %v, want it refused", victim)
	}
}
