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

// packages are what every node needs, and what the spec asks for besides.
func packages(s *spec.Spec) []string {
	// socat is what asks haproxy for its state before a reload, and what people ask haproxy's sockets with
	out := append([]string{"haproxy", "keepalived", "socat"}, s.Image.Packages...)
	if s.Firewall {
		out = append(out, "nftables")
	}
	if len(certificates(s)) > 0 {
		out = append(out, "openssl")
	}
	if logsByUDP(s) {
		// haproxy's log grows for ever without logrotate, which rsyslog only recommends
		out = append(out, "rsyslog", "logrotate")
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// imageUnits are in the order in which they may be started: what others rely on first.
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
	sysctl.Early = true // haproxy starts as soon as its package is installed
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

// networkIDs are the IDs in network-config of all interfaces that take a virtual IP on some node, and of those of the nodes'
// own addresses: on most nodes the interfaces' names. A node that has an interface under another ID has no file for the rest.
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

// logsByUDP tells whether some node's haproxy sends its log to a syslog of that node.
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

// system is a file of root's that everybody may read.
func system(path string, content []byte) File {
	return File{Path: path, Mode: 0o644, Owner: "root", Group: "root", Content: content}
}

// haproxyConfig holds the hash of a password: only root and haproxy read it. The group comes with the package.
func haproxyConfig(content []byte) File {
	return File{Path: wellknown.HAProxyConfig, Mode: 0o640, Owner: "root", Group: "haproxy", Content: content, Package: "haproxy"}
}

func keepalivedConfig(content []byte) File {
	return File{Path: wellknown.KeepalivedConfig, Mode: 0o600, Owner: "root", Group: "root", Content: content}
}
