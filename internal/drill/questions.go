package drill

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/spec"
)

// question is a request of a client to a service. A service of mode tcp has an HTTP server too, so an answer always comes
// from the server.
type question struct {
	service string
	url     string
	host    string // of the request and of the TLS handshake; empty means the address
	proxy   bool   // whether a header of the PROXY protocol is sent first
}

func (q question) String() string {
	text := q.url
	if q.host != "" {
		text += " as " + q.host
	}
	if q.proxy {
		text += " with the PROXY protocol"
	}
	return text
}

// planQuestions plans the requests of a target's client.
func (p *plan) planQuestions(s *spec.Spec, v *spec.VIP, addr netip.Addr, t *target, played map[string]bool) {
	var all []question
	for i := range s.Services {
		svc := &s.Services[i]
		if !slices.Contains(svc.VIPs, v.Name) {
			continue
		}
		if why := unaskable(svc, t.client.Addr()); why != "" {
			p.note("no client tests %s: %s", svc.Name, why)
			continue
		}
		asked := questionsOf(s, svc, addr, played)
		if len(asked) == 0 && (len(svc.Servers) > 0 || svc.Backend != "") {
			p.note("no client tests %s: none of its servers can be simulated", svc.Name)
		}
		all = append(all, asked...)
	}
	if len(all) == 0 {
		t.why = "it has no service with a server that the drill can simulate"
		return
	}
	t.question, t.more = all[0], all[1:]
}

// unaskable returns the reason why a client cannot send requests to a service, or "".
func unaskable(svc *spec.Service, client netip.Addr) string {
	allowed := len(svc.Allow) == 0 || slices.ContainsFunc(svc.Allow, func(p netip.Prefix) bool { return p.Contains(client) })
	switch {
	case !allowed:
		return fmt.Sprintf("its allow does not list %s, the client's address", client)
	case svc.TLS != nil && svc.TLS.ClientCA != "" && svc.TLS.ClientVerify != "optional":
		return "it requires a client certificate"
	}
	return ""
}

// questionsOf returns requests that a service answers at an address: through its own servers or its backend, from haproxy
// itself, and through the backends of its routes.
func questionsOf(s *spec.Spec, svc *spec.Service, addr netip.Addr, played map[string]bool) []question {
	endpoint, ok := spec.Endpoint{}, false
	for _, e := range s.Endpoints(svc) {
		if e.Addr == addr && !ok {
			endpoint, ok = e, true
		}
	}
	if !ok {
		return nil
	}
	scheme := "http"
	if endpoint.TLS {
		scheme = "https"
	}
	base := question{service: svc.Name, proxy: svc.AcceptProxy}
	ask := func(host, path string) question {
		q := base
		q.host, q.url = host, scheme+"://"+endpoint.AddrPort().String()+path
		return q
	}
	var out []question
	check := checkOf(s, svc)
	switch {
	case played[svc.Name] || played[svc.Backend]:
		out = append(out, ask(check.host, check.path))
	case svc.HealthPage != "":
		out = append(out, ask("", svc.HealthPage))
	}
	for _, r := range svc.Routes {
		if !played[r.Backend] || len(r.SNI) > 0 || r.When != "" {
			continue
		}
		host, path := "", "/"
		if len(r.Host) > 0 {
			host = strings.Replace(r.Host[0], "*", "www", 1)
		}
		if len(r.Path) > 0 {
			path = r.Path[0]
		}
		out = append(out, ask(host, path))
	}
	if svc.RedirectHTTP {
		q := base
		q.url = "http://" + netip.AddrPortFrom(addr, 80).String() + "/"
		out = append(out, q)
	}
	return out
}

// asIn is the host and path of a check's request.
type asIn struct{ host, path string }

// checkOf returns the request of the check of a service's servers, or of its backend.
func checkOf(s *spec.Spec, svc *spec.Service) asIn {
	k := svc.Check
	for i := range s.Backends {
		if s.Backends[i].Name == svc.Backend {
			k = s.Backends[i].Check
		}
	}
	out := asIn{path: "/"}
	if k == nil {
		return out
	}
	if fields := strings.Fields(k.HTTP); len(fields) == 2 && strings.HasPrefix(fields[1], "/") {
		out.path = fields[1]
	}
	out.host = k.Host
	return out
}

// httpClient returns an HTTP client that sends a question from a client of the lab.
func (q question) httpClient(client *lab.Client) *http.Client {
	// The certificate of an image is a placeholder that no authority has signed.
	config := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	if q.host != "" {
		config.ServerName, _, _ = strings.Cut(q.host, ":")
	}
	var first []byte
	if q.proxy {
		first = []byte("PROXY UNKNOWN\r\n")
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     client.TransportAfter(first, config),
	}
}

// askAll sends a request to each service until it answers or the time limit is over. It returns the services that did not
// answer.
func (c *Cluster) askAll(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, c.limits.health)
	defer cancel()
	var mu sync.Mutex
	var problems []string
	var group errgroup.Group
	group.SetLimit(8)
	for _, t := range c.targets {
		for _, q := range t.more {
			group.Go(func() error {
				if err := askOnce(ctx, t.client, q); err != nil {
					mu.Lock()
					defer mu.Unlock()
					problems = append(problems, fmt.Sprintf("%s does not answer on %s: %v", q.service, q, err))
				}
				return nil
			})
		}
	}
	_ = group.Wait()
	slices.Sort(problems)
	return problems
}

// askOnce repeats a request until there is an answer.
func askOnce(ctx context.Context, client *lab.Client, q question) error {
	h := q.httpClient(client)
	var last error
	_ = poll.Nil(ctx, 250*time.Millisecond, func() error {
		asking, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		err := get(asking, h, q)
		if err != nil && ctx.Err() == nil {
			last = errors.New(reason(err))
		} else if err == nil {
			last = nil
		}
		return err
	})
	if last == nil && ctx.Err() != nil && context.Cause(ctx) == context.Canceled {
		return nil // the drill was interrupted
	}
	return last
}
