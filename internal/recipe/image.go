package recipe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/haproxy/haproxycfg"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/units"
)

// packages returns what every node needs, and the packages of the spec.
func packages(s *spec.Spec) []string {
	// operators use socat for haproxy's sockets
	out := append([]string{"haproxy", "keepalived", "socat"}, s.Image.Packages...)
	if s.Firewall {
		out = append(out, "nftables")
	}
	if len(certificates(s)) > 0 {
		out = append(out, "openssl")
	}
	if logsByUDP(s) {
		// without logrotate, which rsyslog only recommends, haproxy's log would grow without limit
		out = append(out, "rsyslog", "logrotate")
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// imageUnits are in the order in which they may be started: a unit comes after those that it depends on.
func imageUnits(s *spec.Spec) []Unit {
	var out []Unit
	enable := func(name string) { out = append(out, Unit{name, Enabled}) }
	if logsByUDP(s) {
		enable("rsyslog.service")
	}
	if s.Firewall {
		enable(wellknown.FirewallUnit)
	}
	if len(certificates(s)) > 0 {
		enable(wellknown.CertificatesUnit)
	}
	enable(wellknown.HAProxyUnit)
	enable(wellknown.AgentUnit)
	enable(wellknown.KeepalivedUnit)
	enable(wellknown.RevisionSocket)
	enable(wellknown.RevisionUnit)
	return out
}

func imageFiles(s *spec.Spec, r release.Release) []File {
	sysctl := shipped(units.Sysctl())
	sysctl.Early = true // haproxy starts when its package is installed
	out := []File{sysctl}
	for _, f := range units.Common() {
		out = append(out, shipped(f))
	}
	if s.Firewall {
		out = append(out, shipped(units.Firewall()))
	}
	if paths := certificates(s); len(paths) > 0 {
		for _, f := range units.Certificates() {
			out = append(out, shipped(f))
		}
		out = append(out, system(wellknown.Certificates, []byte(strings.Join(paths, "\n")+"\n")))
	}
	if r.WaitsForNameserver {
		out = append(out, shipped(units.WaitOnline()))
	}
	for _, id := range networkIDs(s) {
		out = append(out, shipped(units.Network(fmt.Sprintf(r.NetworkFile, id))))
	}
	return out
}

// networkIDs returns the network-config IDs of the interfaces with virtual IPs, and of those with the nodes' own addresses. On
// most nodes the IDs are the interfaces' names. On a node without a file for an ID the drop-in for that ID has no effect.
func networkIDs(s *spec.Spec) []string {
	var out []string
	for k := range s.Nodes {
		n := &s.Nodes[k]
		out = append(out, n.NetworkIDs(n.Interface)...)
		for i := range s.VIPs {
			out = append(out, n.NetworkIDs(s.VIPs[i].InterfaceOn(n))...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// logsByUDP reports whether some node's haproxy logs to a syslog on that node.
func logsByUDP(s *spec.Spec) bool {
	for i := range s.Nodes {
		if _, ok := haproxycfg.OwnSyslog(s, &s.Nodes[i]); ok {
			return true
		}
	}
	return false
}

func shipped(f units.File) File {
	return File{Path: f.Path, Mode: f.Mode, Owner: "root", Group: "root", Content: f.Content}
}

// system returns a file of root that all users may read.
func system(path string, content []byte) File {
	return File{Path: path, Mode: 0o644, Owner: "root", Group: "root", Content: content}
}

// haproxyConfig returns a file that only root and haproxy's group can read, because it has the hash of a password. The package
// creates the group.
func haproxyConfig(content []byte) File {
	return File{Path: wellknown.HAProxyConfig, Mode: 0o640, Owner: "root", Group: "haproxy", Content: content, Package: "haproxy"}
}

func keepalivedConfig(content []byte) File {
	return File{Path: wellknown.KeepalivedConfig, Mode: 0o600, Owner: "root", Group: "root", Content: content}
}
