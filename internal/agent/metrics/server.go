package metrics

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Server answers Prometheus. It uses net/http, although that adds 0.1 ms to the 3 ms of the agent's start: a parser of our own,
// exposed to the network in a process of root, would be a risk.
type Server struct {
	Address netip.AddrPort
	Allow   []netip.Prefix // networks of clients; empty: all. This machine is always allowed.
	Collect func(ctx context.Context) Snapshot
	Log     *slog.Logger

	mu   sync.Mutex
	page []byte
	made time.Time
}

// Limits of the server.
const (
	retry       = 5 * time.Second // an address may be added to the machine after the agent's start
	fresh       = time.Second     // the maximum age of a page: more requests cost no more
	requestTime = 5 * time.Second
	idleTime    = 30 * time.Second // between two requests on one connection
)

// Run answers until ctx ends.
func (s *Server) Run(ctx context.Context) {
	var said string
	for ctx.Err() == nil {
		l, err := new(net.ListenConfig).Listen(ctx, s.network(), s.Address.String())
		if err == nil {
			said = ""
			err = s.Serve(ctx, l)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			s.Log.Error("cannot answer Prometheus; trying again", "address", s.Address, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// network returns the network for Listen, so that 0.0.0.0 does not include IPv6 addresses.
func (s *Server) network() string {
	if s.Address.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

// Serve answers on a listener until ctx ends, and closes it.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", s.answer)
	limit := newLimited(l, s.Allow)
	h := &http.Server{
		Handler: mux, ReadHeaderTimeout: requestTime, ReadTimeout: requestTime, WriteTimeout: 2 * requestTime,
		IdleTimeout: idleTime, MaxHeaderBytes: 16 << 10, ConnState: limit.changed,
		ErrorLog:    slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	defer context.AfterFunc(ctx, func() { h.Close() })()
	err := h.Serve(limit)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	page, err := s.current(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Write(page) // the client may have disconnected
}

// current returns the page, which may be some moments old.
func (s *Server) current(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.page != nil && time.Since(s.made) < fresh {
		return s.page, nil
	}
	// Other clients get this page too, so it must not depend on the first client's connection.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
	defer cancel()
	var b bytes.Buffer
	if err := Write(&b, s.Collect(ctx)); err != nil {
		return nil, err
	}
	s.page, s.made = b.Bytes(), time.Now()
	return s.page, nil
}
