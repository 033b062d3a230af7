package spec

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hapair/hapair/internal/release"
)

func (c check) stats() {
	s := c.s.Stats
	if s == nil || c.Told("stats") {
		return
	}
	c.port("stats.port", s.Port)
	c.statsLogin(s)
	c.statsExposed(s)
	for i, p := range s.Allow {
		if p.IsValid() && p != p.Masked() {
			c.Problem(fmt.Sprintf("stats.allow[%d]", i), fmt.Sprintf("%s is an address in a network", p), "write the network: "+p.Masked().String())
		}
	}
}

// statsExposed warns of a page that clients of every network may open. The firewall lets in what stats.allow lists: without
// it, it does not protect the page.
func (c check) statsExposed(s *Stats) {
	if len(s.Allow) > 0 || c.Told("stats.allow") || c.s.HAProxy.Config != "" {
		return
	}
	message, hint := "the stats page is open to every network: only its password protects it", "list the networks that may open it in stats.allow"
	if !c.s.Firewall {
		hint += ", and keep the others out with firewall: true"
	}
	c.Warning("stats", message, hint)
}

// statsLogin demands a user with a password, unless networks are allowed instead.
func (c check) statsLogin(s *Stats) {
	user, password := c.Has("stats.user"), c.Has("stats.password")
	if len(s.Allow) > 0 && !user && !password {
		return
	}
	if c.required("stats.user") {
		c.name("stats.user", s.User, statsUserRule)
	}
	if !c.required("stats.password") {
		return
	}
	for path, value := range map[string]string{"stats.password.file": s.Password.File, "stats.password.env": s.Password.Env} {
		if c.written(path) && value == "" {
			c.Problem(path, "is empty", "")
		}
	}
}

func (c check) log() {
	l, path := c.s.Log, "log.address"
	if !c.Has(path) {
		path = "log"
	}
	switch {
	case c.Told("log") || c.Told("log.address"):
	case l.Target == LocalLog || l.Target == "node":
	default:
		if !c.logAddress(path, l.Target) {
			c.Problem(path, quote(l.Target)+" is no target of a log", "write /dev/log, node, or an IP address with an optional port")
		}
	}
	if !c.Told("log.facility") && !slices.Contains(Facilities(), l.Facility) {
		c.Problem("log.facility", quote(l.Facility)+" is no facility of syslog", meant(l.Facility, Facilities()))
	}
}

// logAddress tells whether a target is an address, and validates it.
func (c check) logAddress(path, target string) bool {
	addr, err := netip.ParseAddr(target)
	if err != nil {
		ap, err := netip.ParseAddrPort(target)
		if err != nil {
			return false
		}
		c.port(path, int(ap.Port()))
		addr = ap.Addr()
	}
	c.usable(path, addr, true)
	return true
}

func (c check) services() {
	s := c.s
	if len(s.Services) == 0 && s.HAProxy.Config == "" && s.HAProxy.Extra == "" && !c.Told("services") {
		c.Problem("services", "there is nothing to balance", "list services, or write them yourself under haproxy")
	}
	names, ports := map[string]string{}, map[string]string{}
	for i := range s.Services {
		svc, path := &s.Services[i], fmt.Sprintf("services[%d]", i)
		if c.Told(path) {
			continue
		}
		if c.required(path+".name") && c.name(path+".name", svc.Name, proxyRule) {
			c.unique(names, path+".name", svc.Name, "services")
		}
		c.listens(svc, path, ports)
		c.balances(svc, path)
		c.checks(svc, path+".check")
		if svc.TLS != nil && !c.Told(path+".tls") && c.required(path+".tls.certificate") {
			if message, hint := checkPath(svc.TLS.Certificate); message != "" {
				c.Problem(path+".tls.certificate", message, hint)
			}
		}
		c.servers(svc, path+".servers")
	}
}

// listens validates where a service is reached.
func (c check) listens(svc *Service, path string, ports map[string]string) {
	if c.required(path + ".port") {
		c.port(path+".port", svc.Port)
	}
	if !c.required(path + ".vip") {
		return
	}
	if c.s.VIP(svc.VIP) == nil {
		var names []string
		for _, v := range c.s.VIPs {
			names = append(names, v.Name)
		}
		c.Problem(path+".vip", "there is no VIP "+quote(svc.VIP), meant(svc.VIP, names))
		return
	}
	where := fmt.Sprintf("%s:%d", svc.VIP, svc.Port)
	if first, twice := ports[where]; twice && svc.Port > 0 {
		c.Problem(path+".port", fmt.Sprintf("service %s has port %d of VIP %s already", quote(first), svc.Port, quote(svc.VIP)), "")
	}
	ports[where] = svc.Name
	if svc.Port == 22 {
		c.Warning(path+".port", "sshd listens on port 22 of every address, so that haproxy cannot", "let sshd listen on the node's own address alone (ListenAddress)")
	}
}

func (c check) balances(svc *Service, path string) {
	if !c.Told(path+".mode") && svc.Mode != HTTP && svc.Mode != TCP {
		c.Problem(path+".mode", quote(string(svc.Mode))+" is no mode", meant(string(svc.Mode), []string{string(HTTP), string(TCP)}))
	}
	if c.Told(path + ".balance") {
		return
	}
	r, _ := release.Get(c.s.Image.Release) // an unknown one is told already
	if message, hint := checkBalance(svc.Balance, svc.Mode, r.HAProxy); message != "" {
		c.Problem(path+".balance", message, hint)
	}
}

func (c check) checks(svc *Service, path string) {
	if svc.Check == nil || c.Told(path) {
		return
	}
	if c.written(path + ".http") {
		c.name(path+".http", svc.Check.HTTP, checkRule)
	}
	if !c.written(path + ".expect") {
		return
	}
	if !c.Has(path + ".http") {
		c.Problem(path+".expect", "has no effect without http", "")
	} else if svc.Check.Expect < 100 || svc.Check.Expect > 599 {
		c.Problem(path+".expect", fmt.Sprintf("%d is no status of HTTP", svc.Check.Expect), "they go from 100 to 599")
	}
}

func (c check) servers(svc *Service, path string) {
	if c.required(path) && len(svc.Servers) == 0 {
		c.Problem(path, "a service has at least one server", "")
	}
	names, addresses := map[string]string{}, map[netip.AddrPort]string{}
	for i := range svc.Servers {
		server, p := &svc.Servers[i], fmt.Sprintf("%s[%d]", path, i)
		if c.Told(p) {
			continue
		}
		if c.required(p+".name") && c.name(p+".name", server.Name, proxyRule) {
			c.unique(names, p+".name", server.Name, "servers of the service")
		}
		if c.Has(p + ".port") {
			c.port(p+".port", server.Port)
		}
		if !c.required(p+".address") || !c.usable(p+".address", server.Address, true) {
			continue
		}
		where := netip.AddrPortFrom(server.Address, uint16(server.Port))
		if first, twice := addresses[where]; twice {
			c.Problem(p+".address", fmt.Sprintf("server %s is %s already", quote(first), where), "")
		}
		addresses[where] = server.Name
		c.statsPort(server, p)
	}
}

// statsPort finds servers that cannot be there: on a node's own address the stats page has its port.
func (c check) statsPort(server *Server, path string) {
	if c.s.Stats == nil || server.Port != c.s.Stats.Port || server.Port == 0 {
		return
	}
	for i := range c.s.Nodes {
		if n := &c.s.Nodes[i]; n.Addr(FamilyOf(server.Address)) == server.Address {
			c.Problem(path+".port", fmt.Sprintf("port %d of node %s is that of the stats page", server.Port, quote(n.Name)), "give stats another port")
		}
	}
}
