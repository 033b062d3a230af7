package spec

import (
	"io/fs"
	"net/netip"
	"time"

	"github.com/hapair/hapair/internal/strictyaml"
)

// APIVersion is the version of the spec that this program reads.
const APIVersion = "hapair/v1"

// Spec describes a set of load balancers that share virtual IPs, with all defaults filled in.
type Spec struct {
	// APIVersion must be hapair/v1.
	APIVersion string `yaml:"apiVersion"`
	// Cluster is the name of the set: letters, digits, "-" and "_".
	Cluster string `yaml:"cluster"`
	// Image describes the content of the golden image.
	Image Image `yaml:"image"`
	// Nodes are the load balancers, at least two. The first one has the highest priority, unless a VIP prefers another.
	Nodes []Node `yaml:"nodes"`
	// VIPs are the virtual IPs, at least one.
	VIPs []VIP `yaml:"vips"`
	// VRRP sets how the nodes decide which of them holds a VIP.
	VRRP VRRP `yaml:"vrrp"`
	// Stats is haproxy's stats page and Prometheus exporter, on each node's own address. Default: no page.
	Stats *Stats `yaml:"stats"`
	// Agent sets what ha-agent offers over the network.
	Agent Agent `yaml:"agent"`
	// Log is the destination of haproxy's log.
	Log Log `yaml:"log"`
	// Services are the balanced services: ports of VIPs, and their servers.
	Services []Service `yaml:"services"`
	// Backends are groups of servers that several services or routes can use.
	Backends []Backend `yaml:"backends"`
	// Firewall loads an nftables table that accepts VRRP only from peers on the node's own link and interface, and the stats
	// port only from stats.allow. It does not change other tables. Default: false.
	Firewall bool `yaml:"firewall"`
	// Access lists the users who may log in. Default: none.
	Access Access `yaml:"access"`
	// CloudConfig is additional #cloud-config. It is merged, and cannot replace what hapair writes.
	CloudConfig map[string]any `yaml:"cloud_config"`
	// HAProxy sets defaults for all services, and passes lines through to haproxy.cfg.
	HAProxy HAProxy `yaml:"haproxy"`
	// Files are additional files for all nodes, such as maps, error pages and Lua scripts. They are watched, proven and rolled
	// back together with haproxy.cfg.
	Files []File `yaml:"files"`
	// Keepalived passes lines through to keepalived.conf.
	Keepalived Keepalived `yaml:"keepalived"`
	// Digest is derived: the SHA-256 of the spec's file, in hex.
	Digest string `yaml:"-"`

	doc *strictyaml.Document // nil if the spec was not read from YAML
}

// Image describes the content of the golden image.
type Image struct {
	// Release is the name of the Ubuntu or Debian release: jammy, noble, resolute, bookworm or trixie. Default: noble.
	Release string `yaml:"release"`
	// Packages are installed in addition to the required packages.
	Packages []string `yaml:"packages"`
}

// Address is an IP address with the prefix length of its network. Bits is 0 if the prefix length was omitted.
type Address struct {
	Addr netip.Addr
	Bits int
}

// Node is one load balancer.
type Node struct {
	// Name is the node's name, which is also its router_id: letters, digits, "-", "_" and ".".
	Name string `yaml:"name"`
	// Addresses of the node, for VRRP and management: one, or one for each address family, with an optional prefix length.
	Addresses []Address `yaml:"address" strictyaml:"one"`
	// The interface with the node's address, on which VRRP runs: its name, or a mapping that describes it.
	Device Interface `yaml:"interface"`
	// Interfaces describes other interfaces of the node: those of VIPs, the members of a bond, and the links of VLANs.
	Interfaces []Interface `yaml:"interfaces"`
	// Gateway is the default route in network-config: one, or one for each address family.
	Gateway []netip.Addr `yaml:"gateway" strictyaml:"one"`
	// Nameservers are the DNS servers in network-config.
	Nameservers []netip.Addr `yaml:"nameservers"`
	// Network is a complete network-config, version 2 (the content of "network:"). It replaces the generated one.
	Network map[string]any `yaml:"network"`
	// Interface is derived: the name of Device.
	Interface string `yaml:"-"`
	// Hostname is derived: Name with "-" for "_".
	Hostname string `yaml:"-"`
}

// Interface is a network interface of a node. A name alone means an Ethernet device to which the machine itself gives this
// name. A description becomes part of network-config: it is not allowed beside nodes[].network, and requires a prefix length in
// the node's address.
type Interface struct {
	// Name of the interface: up to 15 letters, digits, "-", "_" and ".".
	Name string `yaml:"name"`
	// MAC is the hardware address of the Ethernet device that gets the name, such as 52:54:00:a8:38:65. Default: the machine
	// itself must use the name.
	MAC string `yaml:"mac"`
	// Bond lists the Ethernet devices that are members of the bond.
	Bond []string `yaml:"bond"`
	// Mode is the kernel's name of the bond's mode: active-backup, 802.3ad, balance-xor and so on. Default: active-backup.
	Mode string `yaml:"mode"`
	// Parameters are other parameters of the bond, with netplan's names, such as {lacp-rate: fast}. Default:
	// {mii-monitor-interval: 100}.
	Parameters map[string]any `yaml:"parameters"`
	// VLAN is the ID of the VLAN, 1 to 4094.
	VLAN int `yaml:"vlan"`
	// Link is the interface that carries the VLAN.
	Link string `yaml:"link"`
}

// VIP is a virtual IP: an address that exactly one node holds.
type VIP struct {
	// Name of the VIP. Services refer to it.
	Name string `yaml:"name"`
	// Addresses with their prefix lengths: one, or a list of up to 128, of both address families. All move together. VRRP
	// advertises the first one.
	Addresses []Address `yaml:"address" strictyaml:"one"`
	// The interface that gets the address: the name of an interface of the nodes, or a mapping that describes a bond or VLAN of
	// every node. Default: the node's own interface.
	Device Interface `yaml:"interface"`
	// VirtualRouterID is VRRP's virtual router ID, 1 to 255. Default: derived from the names of cluster and VIP.
	VirtualRouterID int `yaml:"virtual_router_id"`
	// Prefer is the name of the node with the highest priority for this VIP. Default: the first node.
	Prefer string `yaml:"prefer"`
	// Group is the name of a group of VIPs that move together: if one of them cannot stay on a node, all VIPs of the group
	// leave it. They must prefer the same node.
	Group string `yaml:"group"`
	// PreemptDelay is the time for which the preferred node waits before it takes the VIP back, up to 1000s. It requires
	// vrrp.preempt. Default: 0.
	PreemptDelay time.Duration `yaml:"preempt_delay"`
	// Gateway is the router of the VIP's own subnet: one, or one for each address family. With it, packets from the VIP leave
	// through the VIP's interface, even if the node's other routes use another interface.
	Gateway []netip.Addr `yaml:"gateway" strictyaml:"one"`
	// Routes exist only on the node that holds the VIP.
	Routes []VIPRoute `yaml:"routes"`
	// TrackScripts are further conditions for a node to hold the VIP, or to be preferred for it.
	TrackScripts []TrackScript `yaml:"track_scripts"`
	// OnChange is a command that the agent runs on every node when the VIP's state changes, and every 10s on the node that
	// holds the VIP. It must not contain a secret, because all users of the node can read it. See docs/vips.md.
	OnChange *OnChange `yaml:"on_change"`
	// Lines are added to the VIP's vrrp_instance in keepalived.conf. keepalived checks them.
	Lines string `yaml:"lines" strictyaml:"raw"`
	// Interface is derived: the name of Device; empty for the node's own interface.
	Interface string `yaml:"-"`
}

// VIPRoute is a route that exists on the node that holds the VIP.
type VIPRoute struct {
	// To is the destination, a network with its prefix length: 10.0.0.0/8. 0.0.0.0/0 is the default route.
	To netip.Prefix `yaml:"to"`
	// Via is the router. Default: none, because the destination is on the link.
	Via netip.Addr `yaml:"via"`
	// Interface of the route. Default: the VIP's.
	Interface string `yaml:"interface"`
	// Table is the number of the routing table, 1 to 4294967295. Default: the main table.
	Table int `yaml:"table"`
	// Metric of the route, 1 to 4294967295. Default: the kernel's default.
	Metric int `yaml:"metric"`
}

// TrackScript is a command that keepalived runs. Exit status 0 means good. It must exist on the node, and only root may be able
// to change it.
type TrackScript struct {
	// Name of the script, unique in the VIP.
	Name string `yaml:"name"`
	// Command is an absolute path and arguments, separated by single spaces.
	Command string `yaml:"command"`
	// User that runs the command. Default: hapair-check.
	User string `yaml:"user"`
	// Interval between two runs, in whole seconds, up to 1000s. Fractions of a second require keepalived 2.3.2. Default: 2s.
	Interval time.Duration `yaml:"interval"`
	// Timeout is the time limit of a run, at most the interval. A longer run fails. Default: the interval.
	Timeout time.Duration `yaml:"timeout"`
	// Rise is the number of successful runs in a row after which the script is good. Default: 2.
	Rise int `yaml:"rise"`
	// Fall is the number of failed runs in a row after which the script is bad. Default: 2.
	Fall int `yaml:"fall"`
	// Weight, -253 to 253, changes the node's priority: a positive weight is added while the script is good, a negative one is
	// subtracted while it is bad. It requires vrrp.preempt. Default: 0, which means that a node whose script is bad cannot hold
	// the VIP.
	Weight int `yaml:"weight"`
}

// OnChange is a command that the agent runs when the state of a VIP changes. It can be written as the command alone.
type OnChange struct {
	// Command is an absolute path and arguments, separated by single spaces. As in a notify script of keepalived, these
	// arguments are added: INSTANCE, the name of the VIP's vrrp_instance, its state (MASTER, BACKUP, FAULT or STOP) and its
	// priority.
	Command string `yaml:"command"`
	// User that runs the command. It has no privileges, unless it is root. Default: a temporary user that exists only while the
	// command runs.
	User string `yaml:"user"`
	// Timeout is the time limit of a run, 1s to 5m. A longer run is killed. Default: 10s.
	Timeout time.Duration `yaml:"timeout"`
}

// Transport is the way in which VRRP advertisements are sent.
type Transport string

const (
	Unicast   Transport = "unicast"
	Multicast Transport = "multicast"
)

// VRRP sets how the nodes decide which of them holds a VIP.
type VRRP struct {
	// AdvertInt is the time between two advertisements, 10ms to 40.95s in steps of 10ms. A node is replaced after three missing
	// advertisements. docs/timers.md helps to choose. Default: 250ms.
	AdvertInt time.Duration `yaml:"advert_int"`
	// Preempt returns a VIP to the preferred node when that node is available again. Default: false.
	Preempt bool `yaml:"preempt"`
	// Transport is unicast or multicast. Default: unicast.
	Transport Transport `yaml:"transport"`
}

// Stats is haproxy's stats page, with Prometheus metrics at /metrics.
type Stats struct {
	// Port of the page on each node's own address. Default: 1936.
	Port int `yaml:"port"`
	// User who may see the page. Default: only clients in allow may see it.
	User string `yaml:"user"`
	// Password of that user. It is a reference, and never clear text in the spec.
	Password Secret `yaml:"password" strictyaml:"secret"`
	// Allow lists networks whose clients need no password. If it is set, the firewall accepts only these networks.
	Allow []netip.Prefix `yaml:"allow"`
}

// Agent sets what ha-agent offers over the network.
type Agent struct {
	// Metrics is the address of the agent's Prometheus metrics: an IP address and a port, or "node" and a port for the node's
	// own address, such as node:9736. Default: no metrics.
	Metrics string `yaml:"metrics"`
	// Allow lists networks whose clients may read the metrics. If it is set, the firewall accepts only these networks. Default: all clients.
	Allow []netip.Prefix `yaml:"allow"`
	// AllowNoServers keeps changes that leave a backend without servers. The default is false: such a change is rolled back, if it edits the backend and the backend had a server up before.
	AllowNoServers bool `yaml:"allow_no_servers"`
}

// Log is the destination of haproxy's log: /dev/log, or a syslog server that is reached over UDP.
type Log struct {
	// Target is /dev/log, an IP address with an optional port, or "node": the node's own address. Default: /dev/log.
	Target string `yaml:"address"`
	// Facility is the syslog facility. Default: local0.
	Facility string `yaml:"facility"`
}

// Access lists the users who may log in.
type Access struct {
	// Users are the accounts, each with its SSH keys.
	Users []User `yaml:"users"`
}

// User is an account of a person who may log in with an SSH key.
type User struct {
	// Name of the account: lower-case letters, digits, "-" and "_".
	Name string `yaml:"name"`
	// SSHAuthorizedKeys are public keys, at least one, each a line such as in id_ed25519.pub.
	SSHAuthorizedKeys []string `yaml:"ssh_authorized_keys"`
	// Sudo allows the user to become root without a password. Default: false.
	Sudo bool `yaml:"sudo"`
}

// HAProxy sets defaults for all services, and passes lines through to haproxy.cfg. haproxy checks those lines.
type HAProxy struct {
	// MaxConn is the maximum number of concurrent connections of all services together. Default: as many as the limit of open
	// files allows.
	MaxConn int `yaml:"maxconn"`
	// Timeouts for services without their own.
	Timeouts Timeouts `yaml:"timeouts"`
	// Check sets how often servers are checked, for services without their own values.
	Check CheckTimes `yaml:"check"`
	// Global are additional lines of the global section.
	Global string `yaml:"global" strictyaml:"raw"`
	// Defaults are additional lines of the defaults section.
	Defaults string `yaml:"defaults" strictyaml:"raw"`
	// Extra are additional sections.
	Extra string `yaml:"extra" strictyaml:"raw"`
	// Config is the name of a file beside the spec that replaces the generated haproxy.cfg. haproxy loads hapair's own sockets
	// from a second file.
	Config string `yaml:"config"`
	// ConfigContent is derived: the content of that file.
	ConfigContent []byte `yaml:"-"`
}

// File is a file that is the same on every node. Its owner is root.
type File struct {
	// Path of the file on the node.
	Path string `yaml:"path"`
	// From is the name of a file beside the spec with the content.
	From string `yaml:"from"`
	// Content of the file, instead of from.
	Content string `yaml:"content" strictyaml:"raw"`
	// Mode is the file's permissions, in quotes. "0640" allows only root and haproxy's group to read it. Default: "0644".
	Mode string `yaml:"mode"`
	// Data is derived: the content, from From or Content.
	Data []byte `yaml:"-"`
	// Perm is derived: the mode as a number.
	Perm fs.FileMode `yaml:"-"`
}

// Keepalived passes lines through to keepalived.conf. keepalived checks them.
type Keepalived struct {
	// Extra are additional blocks.
	Extra string `yaml:"extra" strictyaml:"raw"`
}
