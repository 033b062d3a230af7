package units

import "github.com/hapair/hapair/internal/wellknown"

// Features describe the optional parts of a machine.
type Features struct {
	Node         bool // it is a node, not an image for nodes
	Firewall     bool
	Certificates bool
	// NetworkFiles are the names of systemd-networkd's files for the interfaces that take virtual IPs.
	NetworkFiles []string
}

// All returns every file that hapair installs on a machine with these features. `ha-agent verify` checks this list. A test
// of the recipes checks that it is complete.
func All(f Features) []File {
	sysctl := Sysctl()
	sysctl.Content = nil // an operator may add lines
	wait := WaitOnline()
	wait.Optional = true // only some releases need it
	all := append(Common(), sysctl, wait,
		// The file contains a password hash, which haproxy's group may read.
		File{Path: wellknown.HAProxyConfig, Mode: 0o640}, File{Path: wellknown.KeepalivedConfig, Mode: 0o640})
	if f.Firewall {
		all = append(all, Firewall())
	}
	if f.Certificates {
		all = append(append(all, Certificates()...), File{Path: wellknown.Certificates, Mode: 0o644})
	}
	for _, name := range f.NetworkFiles {
		all = append(all, Network(name))
	}
	if !f.Node {
		return all
	}
	all = append(all, File{Path: wellknown.AgentConfig, Mode: 0o644}, File{Path: wellknown.SyslogConfig, Mode: 0o644, Optional: true},
		File{Path: wellknown.HAProxySockets, Mode: 0o644, Optional: true}, File{Path: wellknown.HAProxyDefaults, Mode: 0o644, Optional: true})
	if f.Firewall {
		all = append(all, File{Path: wellknown.FirewallRules, Mode: 0o644})
	}
	return all
}
