package metrics

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// connections limits the number of connections, of all sources together and of each source.
const (
	connections = 16
	perSource   = 4
)

// limited accepts connections from allowed sources, up to a limit. At the limit, a new connection replaces the least active one
// of the source that has the most, so that one source cannot shut the others out.
type limited struct {
	net.Listener
	allow []netip.Prefix

	mu   sync.Mutex
	open map[*counted]struct{}
}

func newLimited(l net.Listener, allow []netip.Prefix) *limited {
	return &limited{Listener: l, allow: allow, open: map[*counted]struct{}{}}
}

// counted is a connection that frees its place when it is closed.
type counted struct {
	net.Conn
	owner  *limited
	source netip.Prefix
	// The owner's lock protects state and since.
	state http.ConnState
	since time.Time
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source, ok := l.allowed(conn)
		if !ok {
			conn.Close()
			continue
		}
		c := &counted{Conn: conn, owner: l, source: source, state: http.StateNew, since: time.Now()}
		victim, ok := l.admit(c)
		if victim != nil {
			victim.Conn.Close()
		}
		if ok {
			return c, nil
		}
		conn.Close()
	}
}

// admit gives a connection a place, and may close another one for it. It returns false if there is no place.
func (l *limited) admit(c *counted) (victim *counted, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := map[netip.Prefix]int{}
	for o := range l.open {
		count[o.source]++
	}
	var candidates []*counted
	for o := range l.open {
		if o.source == c.source || count[c.source] < perSource {
			candidates = append(candidates, o)
		}
	}
	if count[c.source] >= perSource || len(l.open) >= connections {
		victim = slices.MinFunc(candidates, func(a, b *counted) int {
			return cmp.Or(count[b.source]-count[a.source], a.use()-b.use(), a.since.Compare(b.since))
		})
		if victim.use() == answering && count[victim.source] <= count[c.source]+1 {
			return nil, false // it is about to be answered, and its source has no more connections than the new one's
		}
		delete(l.open, victim)
	}
	l.open[c] = struct{}{}
	return victim, true
}

// answerTime is longer than an answer takes. A connection with a longer request is slow on purpose.
const answerTime = time.Second

// The state of a connection in the server.
const (
	idle = iota
	waiting
	answering
)

func (c *counted) use() int {
	switch {
	case c.state == http.StateIdle:
		return idle
	case c.state == http.StateNew, time.Since(c.since) > answerTime:
		return waiting // for the beginning or the rest of a request
	}
	return answering
}

// changed implements http.Server.ConnState.
func (l *limited) changed(conn net.Conn, state http.ConnState) {
	c, ok := conn.(*counted)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.state, c.since = state, time.Now()
}

func (c *counted) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.open, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// allowed returns the source of a connection, and whether it may ask. This machine always may. An IPv6 source is a /64, because
// a host can use all addresses of its /64.
func (l *limited) allowed(conn net.Conn) (source netip.Prefix, ok bool) {
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return source, false
	}
	addr := from.Addr().Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	if source, err = addr.Prefix(bits); err != nil {
		return source, false
	}
	if len(l.allow) == 0 {
		return source, true
	}
	to, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return source, err == nil && (from.Addr() == to.Addr() || addr.IsLoopback()) ||
		slices.ContainsFunc(l.allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}
