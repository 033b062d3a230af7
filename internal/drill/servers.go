package drill

import (
	"cmp"
	"net/netip"
	"reflect"
	"slices"

	"github.com/hapair/hapair/internal/spec"
)

// planServers finds a place for each server of a pool. It skips servers that are not on a network of the nodes, and pools
// whose checks a simulated server cannot answer.
func (p *plan) planServers(s *spec.Spec, pool *spec.Pool, played map[string]bool) {
	talk, why := unplayable(pool)
	if why != "" {
		p.note("the servers of %s are not simulated: %s", pool.Name, why)
		return
	}
	for _, srv := range pool.Servers {
		if !srv.Address.IsIP() || srv.Address.Name != "" {
			p.note("server %s of %s is not simulated: %s is not an IP address", srv.Name, pool.Name, srv.Address)
			continue
		}
		if srv.TLS != nil && srv.TLS.Verify != "none" {
			p.note("server %s of %s is not simulated: the drill has no certificate that %s verifies", srv.Name, pool.Name, srv.TLS.Verify)
			continue
		}
		port := cmp.Or(srv.Port, firstPort(pool))
		out := server{name: srv.Name, status: pool.Check.FirstStatus(), talk: talk}
		if pool.Check != nil {
			out.text = pool.Check.Expect.Text
		}
		ports := []int{port}
		if pool.Checks() && pool.Check != nil && pool.Check.Port != 0 && pool.Check.Port != port {
			ports = append(ports, pool.Check.Port)
		}
		placed := true
		for _, port := range ports {
			out.address = netip.AddrPortFrom(srv.Address.Addr, uint16(port))
			placed = placed && p.placeServer(s, pool.Name, out)
		}
		played[pool.Name] = played[pool.Name] || placed
	}
}

// firstPort returns the port of servers of a service that do not set a port.
func firstPort(pool *spec.Pool) int {
	if pool.Service == nil {
		return 0
	}
	return pool.Service.PortList()[0].Port.Low
}

// unplayable returns how servers answer the checks of a pool, or the reason why they cannot be simulated.
func unplayable(pool *spec.Pool) (talk *dialogue, why string) {
	k := pool.Check
	if k == nil || k.Off {
		return nil, ""
	}
	if k.Expect.Regex != "" {
		return nil, "their check matches a regular expression"
	}
	if k.TLS != nil && k.TLS.Verify != "" && k.TLS.Verify != "none" {
		return nil, "the drill has no certificate that their check verifies"
	}
	talk, ok := newDialogue(k)
	if !ok {
		return nil, "their check matches a regular expression"
	}
	return talk, ""
}

// placeServer adds a server to the plan, unless another server with the same address gives the same answers.
func (p *plan) placeServer(s *spec.Spec, pool string, out server) bool {
	known := slices.IndexFunc(p.servers, func(have server) bool { return have.address == out.address })
	if known < 0 {
		if !p.place(s, &out) {
			p.note("server %s of %s is not simulated: %s is not on a network of the nodes", out.name, pool, out.address.Addr())
			return false
		}
		p.servers = append(p.servers, out)
		return true
	}
	have := p.servers[known]
	switch {
	case have.status != out.status:
		p.note("server %s of %s is not simulated: %s answers for another service, with status %d", out.name, pool, out.address, have.status)
	case have.text != out.text || !reflect.DeepEqual(have.talk, out.talk):
		p.note("server %s of %s is not simulated: %s gives other answers for another service", out.name, pool, out.address)
	default:
		return true
	}
	return false
}
