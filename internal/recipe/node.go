package recipe

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/keepalived/keepalivedconf"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/wellknown"
)

func logins(s *spec.Spec) []Login {
	var out []Login
	for _, u := range s.Access.Users {
		out = append(out, Login{Name: u.Name, SSHAuthorizedKeys: u.SSHAuthorizedKeys, Sudo: u.Sudo})
	}
	return out
}

// agentConfig returns /etc/ha-agent/agent.yaml.
func agentConfig(s *spec.Spec, n *spec.Node, r release.Release, haproxyConfig string) (File, error) {
	c := config.Config{
		APIVersion: config.APIVersion, Cluster: s.Cluster, Node: n.Name, Release: r.Name,
		HAProxy: config.HAProxy{
			Config: wellknown.HAProxyConfig, Unit: wellknown.HAProxyUnit,
			MasterSocket: wellknown.MasterSocket, CheckSocket: wellknown.CheckSocket,
			Certificates: watchedCertificates(s), Files: filePaths(s),
			AllowNoServers: s.Agent.AllowNoServers,
		},
		Keepalived: config.Keepalived{
			Config: wellknown.KeepalivedConfig, Unit: wellknown.KeepalivedUnit,
			NotifyFIFO: wellknown.NotifyFIFO, TrackFile: wellknown.TrackFile,
		},
		Sysctl:   config.Sysctl{File: wellknown.SysctlConfig},
		Packages: packages(s),
	}
	if s.Stats != nil && s.HAProxy.Config == "" && len(n.Addresses) > 0 {
		c.HAProxy.Stats = &config.Stats{Address: netip.AddrPortFrom(n.Addresses[0].Addr, uint16(s.Stats.Port))}
	}
	if at := s.MetricsOn(n); at.IsValid() {
		c.Metrics = &config.Metrics{Address: at, Allow: s.Agent.Allow}
	}
	for _, peer := range s.Peers(n) {
		p := config.Peer{Name: peer.Name}
		for _, a := range peer.Addresses {
			p.Addresses = append(p.Addresses, a.Addr)
		}
		c.Peers = append(c.Peers, p)
	}
	if err := addVIPs(&c, s, n); err != nil {
		return File{}, err
	}
	addListeners(&c, s, n, haproxyConfig)
	content, err := c.Marshal()
	if err != nil {
		return File{}, fmt.Errorf("cannot write agent.yaml of node %s: %w", n.Name, err)
	}
	return system(wellknown.AgentConfig, content), nil
}

func addVIPs(c *config.Config, s *spec.Spec, n *spec.Node) error {
	for i := range s.VIPs {
		vip := &s.VIPs[i]
		v := config.VIP{Name: vip.Name, Interface: vip.InterfaceOn(n)}
		for _, a := range vip.Addresses {
			v.Addresses = append(v.Addresses, a.Prefix())
		}
		router, err := keepalivedconf.NewVirtualRouter(s, vip)
		if err != nil {
			return fmt.Errorf("cannot write agent.yaml of node %s: %w", n.Name, err)
		}
		v.Instances = []string{router.Name}
		if o := vip.OnChange; o != nil {
			v.OnChange = &config.OnChange{Command: o.Command, User: o.User, Timeout: o.Timeout}
		}
		c.VIPs = append(c.VIPs, v)
	}
	return nil
}

// addListeners lists the addresses on which haproxy must listen on every node: for the services, and by the lines that are
// passed through. With a haproxy.cfg of the user it lists none. The stats page has a separate key.
func addListeners(c *config.Config, s *spec.Spec, n *spec.Node, haproxyConfig string) {
	if s.HAProxy.Config != "" {
		return
	}
	seen := map[netip.AddrPort]bool{}
	if s.Stats != nil {
		for _, a := range n.Addresses {
			seen[netip.AddrPortFrom(a.Addr, uint16(s.Stats.Port))] = true
		}
	}
	add := func(service string, addr netip.Addr, low, high int) {
		step := 1
		if high-low >= 16 {
			step = high - low // only the ends of a long range
		}
		for port := low; port <= high; port += step {
			if at := netip.AddrPortFrom(addr, uint16(port)); !seen[at] {
				seen[at] = true
				c.Listeners = append(c.Listeners, config.Listener{Service: service, Address: at})
			}
		}
	}
	for i := range s.Services {
		svc := &s.Services[i]
		for _, e := range s.Endpoints(svc) {
			add(svc.Name, e.Addr, e.Low, e.High)
		}
	}
	more, _ := haproxy.Listeners(haproxyConfig, n.Hostname)
	for _, l := range more {
		_, name, _ := strings.Cut(l.Proxy, " ")
		add(name, l.Addr, int(l.Low), int(l.High))
	}
}
