package haproxycfg

import (
	"fmt"
	"net/netip"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/spec"
)

// statsPage is the stats page with the Prometheus exporter.
type statsPage struct {
	Name       string // of the frontend and of the list of users
	Binds      []netip.AddrPort
	User, Hash string // empty if only networks are allowed
	Allow      []netip.Prefix

	MaxConn, ClientConn, OtherConn, FailedLogins int
}

// Limits of the stats page. All of a page's connections together must not keep haproxy so busy with hashing passwords that
// it does not answer the check; one client must not take all of them.
const (
	statsMaxConn      = 8
	statsClientConn   = 4  // of one client
	statsOtherConn    = 6  // of clients outside stats.allow together
	statsFailedLogins = 10 // of one client in a minute
)

func newStatsPage(s *spec.Spec, n *spec.Node) (*statsPage, error) {
	in := s.Stats
	if in == nil {
		return nil, nil
	}
	p := &statsPage{Name: statsName(s), User: in.User, Allow: in.Allow,
		MaxConn: statsMaxConn, ClientConn: statsClientConn, OtherConn: statsOtherConn, FailedLogins: statsFailedLogins}
	for _, a := range n.Addresses {
		p.Binds = append(p.Binds, netip.AddrPortFrom(a.Addr, uint16(in.Port)))
	}
	if len(p.Binds) == 0 {
		return nil, fmt.Errorf("the stats page has no address: node %s has none", n.Name)
	}
	if in.User == "" {
		if len(in.Allow) == 0 {
			return nil, problem("stats", "no client may see the page", "name a user with a password, or networks in allow")
		}
		return p, nil
	}
	password := in.Password.Reveal()
	if password == "" {
		return nil, problem("stats.password", "the password could not be read", origin(in.Password))
	}
	hash, err := HashPassword(password, s.Cluster, in.User)
	if err != nil {
		return nil, fmt.Errorf("cannot hash stats.password: %w", err)
	}
	p.Hash = hash
	return p, nil
}

// problem is an error that only a change to the spec, or to a file or variable that it refers to, can fix.
func problem(path, message, hint string) diag.Problems {
	return diag.Problems{{Severity: diag.Error, Path: path, Message: message, Hint: hint}}
}

// origin describes the file or variable of a secret.
func origin(s spec.Secret) string {
	switch {
	case s.Env != "":
		return "set the environment variable " + s.Env
	case s.File != "":
		return "write it to the file " + s.File
	}
	return ""
}

// statsName is a name that is free among the names of the spec.
func statsName(s *spec.Spec) string { return newNames(s).free("hapair-stats") }
