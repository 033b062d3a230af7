package spec

import (
	"fmt"
	"net/netip"
	"slices"
)

func (c check) stats() {
	s := c.s.Stats
	if s == nil || c.HasError("stats") {
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

// statsExposed warns if clients of all networks can open the stats page. The firewall restricts the page only to the networks
// in stats.allow.
func (c check) statsExposed(s *Stats) {
	if len(s.Allow) > 0 || c.HasError("stats.allow") || c.s.HAProxy.Config != "" {
		return
	}
	message, hint := "the stats page is open to every network: only its password protects it", "list the networks that may open it in stats.allow"
	if !c.s.Firewall {
		hint += ", and keep the others out with firewall: true"
	}
	c.Warning("stats", message, hint)
}

// statsLogin checks for a user with a password, unless there are allowed networks.
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
	case c.HasError("log") || c.HasError("log.address"):
	case l.Target == LocalLog || l.Target == "node":
	default:
		if !c.logAddress(path, l.Target) {
			c.Problem(path, quote(l.Target)+" is not a log target", "write /dev/log, node, or an IP address with an optional port")
		}
	}
	if !c.HasError("log.facility") && !slices.Contains(Facilities(), l.Facility) {
		c.Problem("log.facility", quote(l.Facility)+" is not a syslog facility", meant(l.Facility, Facilities()))
	}
}

// logAddress reports whether a target is an address, and validates it.
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
