package units

// Paths of files whose content differs between nodes.
const (
	HAProxyPath     = "/etc/haproxy/haproxy.cfg"
	KeepalivedPath  = "/etc/keepalived/keepalived.conf"
	AgentConfigPath = "/etc/ha-agent/agent.yaml"
	SyslogPath      = "/etc/rsyslog.d/60-hapair.conf"
	// Files that are used with an operator's own haproxy.cfg: hapair's sockets, and the file that makes haproxy load them.
	SocketsPath  = "/etc/haproxy/hapair.cfg"
	DefaultsPath = "/etc/default/haproxy"
)

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
		File{Path: HAProxyPath, Mode: 0o640}, File{Path: KeepalivedPath, Mode: 0o640})
	if f.Firewall {
		all = append(all, Firewall())
	}
	if f.Certificates {
		all = append(append(all, Certificates()...), File{Path: CertificatesListPath, Mode: 0o644})
	}
	for _, name := range f.NetworkFiles {
		all = append(all, Network(name))
	}
	if !f.Node {
		return all
	}
	all = append(all, File{Path: AgentConfigPath, Mode: 0o644}, File{Path: SyslogPath, Mode: 0o644, Optional: true},
		File{Path: SocketsPath, Mode: 0o644, Optional: true}, File{Path: DefaultsPath, Mode: 0o644, Optional: true})
	if f.Firewall {
		all = append(all, File{Path: FirewallPath, Mode: 0o644})
	}
	return all
}
