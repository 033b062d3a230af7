// Package wellknown has the names of things on a node: files, sockets, accounts and units. All code that writes,
// reads or checks them takes the names from here.
package wellknown

// Configuration. Its content differs from node to node.
const (
	HAProxyConfig    = "/etc/haproxy/haproxy.cfg"
	HAProxySockets   = "/etc/haproxy/hapair.cfg" // hapair's sockets beside a haproxy.cfg of the operator's own
	HAProxyDefaults  = "/etc/default/haproxy"    // makes haproxy load HAProxySockets
	KeepalivedConfig = "/etc/keepalived/keepalived.conf"
	AgentConfig      = "/etc/ha-agent/agent.yaml"
	SyslogConfig     = "/etc/rsyslog.d/60-hapair.conf"
	Certificates     = "/etc/ha-agent/certificates" // lists the certificates that need placeholders, a path on each line
	FirewallRules    = "/etc/nftables.d/hapair.nft"
	SysctlConfig     = "/etc/sysctl.d/60-hapair.conf"
)

// Programs.
const (
	Agent = "/usr/bin/ha-agent"
)

// What exists while a node runs.
const (
	AdminSocket  = "/run/haproxy/admin.sock"       // for root: the states of servers are read over it before a reload
	CheckSocket  = "/run/haproxy/check.sock"       // for the check: who connects may read statistics and nothing else
	MasterSocket = "/run/haproxy-master.sock"      // of haproxy's master process: proves reloads
	AgentRun     = "/run/ha-agent"                 // the agent's own
	AgentSocket  = AgentRun + "/control.sock"      // answers ha-agent's other commands
	NotifyFIFO   = AgentRun + "/notify.fifo"       // keepalived writes its state changes to it
	TrackFile    = AgentRun + "/haproxy.track"     // the agent writes it, keepalived watches it: not 0 means to give the VIPs up
	ServerState  = "/var/lib/haproxy/server-state" // what operators set for servers at run time, for the process that a reload starts
	AgentState   = "/var/lib/ha-agent"             // the last known good files, the journal
	Mark         = AgentState + "/maintenance"     // says that this node must hold no VIP, now or after a reboot
	Revisions    = AgentState + "/revisions"       // what rollouts brought, and the trial
)

// RevisionPort is the TCP port on which a node answers the others whether a revision was confirmed there.
const RevisionPort = 9738

// CheckUser is the user, and the group, that keepalived runs `ha-agent check` as.
const CheckUser = "hapair-check"

// Units of systemd.
const (
	HAProxyUnit      = "haproxy.service"
	KeepalivedUnit   = "keepalived.service"
	AgentUnit        = "ha-agent.service"
	FirewallUnit     = "hapair-firewall.service"     // loads FirewallRules
	CertificatesUnit = "hapair-certificates.service" // makes placeholders for Certificates
	RevisionUnit     = "hapair-revision.service"     // confirms or undoes a rollout's trial
	RevisionSocket   = "hapair-revision.socket"      // answers the other nodes on RevisionPort
)
