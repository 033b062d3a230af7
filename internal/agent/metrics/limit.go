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

// connections limits how many connections there are at once, of all sources together and of one.
const (
	connections = 16
	perSource   = 4
)

// limited accepts connections of those who may ask, up to a limit. A connection that comes when the limit is reached takes
// the place of one that the server does the least for, of the source that has the most: so no source keeps the others out.
type limited struct {
	net.Listener
	allow []netip.Prefix

	mu   sync.Mutex
	open map[*counted]struct{}
}

func newLimited(l net.Listener, allow []netip.Prefix) *limited {
	return &limited{Listener: l, allow: allow, open: map[*counted]struct{}{}}
}

// counted is a connection that gives its place back.
type counted struct {
	net.Conn
	owner  *limited
	source netip.Prefix
	// state and since change under the owner's lock.
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

// admit gives a connection a place, which another one may have to leave. It returns false if there is none.
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
			return nil, false // it is about to be answered, and its source has no more than this one would have
		}
		delete(l.open, victim)
	}
	l.open[c] = struct{}{}
	return victim, true
}

// answerTime is more than an answer takes. A connection on which a request has been going on for longer is slow on purpose.
const answerTime = time.Second

// What the server does for a connection.
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
		return waiting // for a request, or for the rest of one
	}
	return answering
}

// changed is http.Server's ConnState.
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

// allowed returns the source of a connection, and whether it may ask. One that has this end's own address is this machine.
// An IPv6 source is a /64: a host has as many addresses of that as it wants.
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
