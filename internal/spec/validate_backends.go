package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/release"
)

// backends validates the groups of servers that services share. names are those of the services.
func (c check) backends(names map[string]string) {
	used := map[string]bool{}
	for _, svc := range c.s.Services {
		for _, name := range svc.backendNames() {
			used[name] = true
		}
	}
	for i := range c.s.Backends {
		b, path := &c.s.Backends[i], fmt.Sprintf("backends[%d]", i)
		if c.HasError(path) {
			continue
		}
		if c.required(path+".name") && c.name(path+".name", b.Name, proxyRule) {
			c.unique(names, path+".name", b.Name, "services or backends")
			if !used[b.Name] && !c.mentioned(b.Name) {
				c.Warning(path, "no service uses the backend "+quote(b.Name), "name it in a service's backend or routes")
			}
		}
		c.mode(path, b.Mode)
		c.timeouts(path+".timeouts", &b.Timeouts)
		if b.Lines == "" && c.required(path+".servers") && len(b.Servers) == 0 {
			c.Problem(path+".servers", "a backend must have at least one server", "")
		}
		p := b.pool(path)
		c.pool(&p)
		c.section(path+".lines", "backend", b.Lines)
	}
}

// pool validates a group of servers.
func (c check) pool(p *Pool) {
	c.balance(p)
	c.checks(p)
	c.sticky(p)
	c.servers(p)
}

func (c check) balance(p *Pool) {
	path := p.Path + ".balance"
	if c.HasError(path) {
		return
	}
	r, _ := release.Get(c.s.Image.Release) // an unknown one was already reported
	if message, hint := checkBalance(p.Balance, p.Mode, r.HAProxy); message != "" {
		c.Problem(path, message, hint)
	}
}

func (c check) sticky(p *Pool) {
	path := p.Path + ".sticky"
	s := p.Sticky
	if s == nil || c.HasError(path) {
		return
	}
	cookie, source := c.Has(path+".cookie"), c.Has(path+".source")
	switch {
	case !cookie && !source:
		c.Problem(path, "has neither cookie nor source", "write {cookie: SERVERID}, or {source: 30m}")
	case cookie && source:
		c.Problem(path, "has both cookie and source", "one is enough")
	}
	if c.written(path + ".cookie") {
		c.needsHTTP(p.Mode, path+".cookie")
		c.name(path+".cookie", s.Cookie, tokenRule)
	}
	if c.written(path + ".options") {
		c.name(path+".options", s.Options, cookieRule)
	}
	if c.written(path+".source") && (s.Source < time.Second || s.Source > longest || s.Source%time.Millisecond != 0) {
		c.Problem(path+".source", fmt.Sprintf("a client cannot be remembered for %s", s.Source), "must be 1s to 24 days")
	}
	if c.written(path + ".size") {
		c.name(path+".size", s.Size, sizeRule)
	}
}

func (c check) servers(pool *Pool) {
	path := pool.Path + ".servers"
	names, addresses := map[string]string{}, map[string]string{}
	for i := range pool.Servers {
		server, p := &pool.Servers[i], fmt.Sprintf("%s[%d]", path, i)
		if c.HasError(p) {
			continue
		}
		if c.required(p+".name") && c.name(p+".name", server.Name, proxyRule) {
			c.unique(names, p+".name", server.Name, "servers of the service")
		}
		if c.Has(p + ".port") {
			c.port(p+".port", server.Port)
		}
		c.serverOptions(pool, server, p)
		if !c.required(p+".address") || server.Address.IsIP() && !c.usable(p+".address", server.Address.Addr, true) {
			continue
		}
		where := server.String()
		// Two servers may have the same DNS name: each uses another of its addresses.
		if first, twice := addresses[where]; twice && server.Address.Name == "" {
			c.Warning(p+".address", fmt.Sprintf("server %s is %s already", quote(first), where), "haproxy sends it the requests of both")
		}
		addresses[where] = server.Name
		c.serverPort(pool, server, p)
	}
}

// String is the server's address with its port, if it has one.
func (s *Server) String() string {
	switch {
	case s.Address.Socket != "":
		return s.Address.Socket
	case s.Port == 0 && s.Address.Addr.Is6():
		return "[" + s.Address.Addr.String() + "]"
	case s.Port == 0:
		return s.Address.String()
	case s.Address.Name != "":
		return fmt.Sprintf("%s:%d", s.Address.Name, s.Port)
	}
	return netip.AddrPortFrom(s.Address.Addr, uint16(s.Port)).String()
}

// serverPort validates the ports on which a server is reached and checked.
func (c check) serverPort(pool *Pool, server *Server, path string) {
	switch {
	case server.Address.Socket != "":
		if c.Has(path + ".port") {
			c.Problem(path+".port", "has no effect: a UNIX socket has no port", "")
		}
	case server.Port == 0 && pool.Service == nil && !c.HasError(path+".port"):
		c.Problem(path+".port", "is missing", "a server of a shared backend has no default port")
	case server.Port == 0 && pool.Service != nil && len(pool.Service.Ports) > 0 && pool.Checks() && (pool.Check == nil || pool.Check.Port == 0) && !c.HasError(path+".port"):
		c.Problem(path, "the port to check is not known: the service has several ports", "set check.port, or the server's port")
	}
	c.statsPort(server, path)
}

func (c check) serverOptions(pool *Pool, s *Server, path string) {
	if c.written(path+".weight") && (*s.Weight < 0 || *s.Weight > 256) {
		c.Problem(path+".weight", fmt.Sprintf("the weight %d is out of range", *s.Weight), "must be 0 to 256")
	}
	c.atLeast(path+".maxconn", s.MaxConn, 1)
	if words := []string{"v1", "v2"}; c.written(path+".send_proxy") && !slices.Contains(words, s.SendProxy) {
		c.Problem(path+".send_proxy", quote(s.SendProxy)+" is not a version of the PROXY protocol", meant(s.SendProxy, words))
	}
	if c.written(path + ".cookie") {
		c.name(path+".cookie", s.Cookie, tokenRule)
		if pool.Sticky == nil || pool.Sticky.Cookie == "" {
			c.Problem(path+".cookie", "has no effect without sticky.cookie", "")
		}
	}
	c.words(path+".lines", "server name address", s.Lines)
	if s.TLS == nil || c.HasError(path+".tls") {
		return
	}
	if c.required(path + ".tls.verify") {
		c.verify(path+".tls.verify", s.TLS.Verify)
	}
	if c.written(path + ".tls.sni") {
		c.name(path+".tls.sni", s.TLS.SNI, dnsRule)
	}
	if c.written(path + ".tls.certificate") {
		c.path(path+".tls.certificate", s.TLS.Certificate)
	}
	c.alpn(path+".tls.alpn", s.TLS.ALPN)
}

// verify validates a path of CA certificates, or none.
func (c check) verify(path, value string) {
	if value == "none" {
		return
	}
	if !strings.HasPrefix(value, "/") {
		c.Problem(path, quote(value)+" is not a path", "write the path of the CA certificates, or none")
		return
	}
	c.path(path, value)
}

// statsPort reports servers with the address and port of a node's stats page.
func (c check) statsPort(server *Server, path string) {
	if c.s.Stats == nil || server.Port != c.s.Stats.Port || server.Port == 0 || !server.Address.Addr.IsValid() {
		return
	}
	for i := range c.s.Nodes {
		if n := &c.s.Nodes[i]; n.Addr(FamilyOf(server.Address.Addr)) == server.Address.Addr {
			c.Problem(path+".port", fmt.Sprintf("port %d of node %s is that of the stats page", server.Port, quote(n.Name)), "give stats another port")
		}
	}
}
