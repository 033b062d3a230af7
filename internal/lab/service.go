package lab

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// service is an HTTP server at an address of a host. This process serves it from a socket in the host's network namespace.
// To the host and the network it looks like a program on that machine.
type service struct {
	address netip.AddrPort
	handler http.Handler
	wrap    Wrap
	server  *http.Server
}

// Wrap returns a listener whose connections speak HTTP, made from another one. A nil Wrap means that they already do.
type Wrap func(net.Listener) net.Listener

// Serve starts an HTTP server at an address of the host, whenever the host is on. It starts with the link, before the host
// has the address.
func (h *Host) Serve(address netip.AddrPort, handler http.Handler) error {
	return h.ServeWrapped(address, nil, handler)
}

// ServeWrapped is like Serve, with a listener from wrap.
func (h *Host) ServeWrapped(address netip.AddrPort, wrap Wrap, handler http.Handler) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &service{address: address, handler: handler, wrap: wrap}
	h.services = append(h.services, s)
	if h.boot == nil {
		return nil
	}
	return s.start(h.boot.netns())
}

// Serve starts an HTTP server at an address of the lab on a network: a server behind the hosts.
func (l *Lab) Serve(networkName string, prefix netip.Prefix, port uint16, handler http.Handler) error {
	return l.ServeWrapped(networkName, prefix, port, nil, handler)
}

// ServeWrapped is like Serve, with a listener from wrap.
func (l *Lab) ServeWrapped(networkName string, prefix netip.Prefix, port uint16, wrap Wrap, handler http.Handler) error {
	if err := l.AddAddress(networkName, prefix); err != nil {
		return err
	}
	s := &service{address: netip.AddrPortFrom(prefix.Addr(), port), handler: handler, wrap: wrap}
	if err := s.start(l.space.netns()); err != nil {
		return err
	}
	l.mu.Lock()
	l.services = append(l.services, s)
	l.mu.Unlock()
	return nil
}

// startServices starts the host's servers. The caller holds the lock.
func (h *Host) startServices() error {
	for _, s := range h.services {
		if err := s.start(h.boot.netns()); err != nil {
			return err
		}
	}
	return nil
}

// stopServices closes the servers with all connections, because an open socket would keep the network namespace alive.
func (h *Host) stopServices() {
	for _, s := range h.services {
		if s.server != nil {
			_ = s.server.Close()
			s.server = nil
		}
	}
}

func (s *service) start(netns string) error {
	var listener net.Listener
	err := withinNet(netns, func() (err error) {
		listener, err = listen(s.address)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", s.address, err)
	}
	if s.wrap != nil {
		listener = s.wrap(listener)
	}
	s.server = newServer(s.handler)
	go func(server *http.Server) { _ = server.Serve(listener) }(s.server)
	return nil
}

// newServer returns a server that logs nothing about clients that break off a connection, as health checks do.
func newServer(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
}

// listen listens in the network namespace of the thread, even if the address does not exist yet.
func listen(address netip.AddrPort) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		controlErr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
		if controlErr != nil {
			return controlErr
		}
		return err
	}}
	return config.Listen(context.Background(), "tcp", address.String())
}
