package spec

import (
	"io/fs"
	"net/netip"
	"time"

	"github.com/hapair/hapair/internal/strictyaml"
)

// APIVersion is the version of the spec that this program reads.
const APIVersion = "hapair/v1"

// Spec is a set of load balancers that share virtual IPs, complete with defaults.
type Spec struct {
	// APIVersion is hapair/v1.
	APIVersion string `yaml:"apiVersion"`
	// Cluster names the set: letters, digits, "-" and "_".
	Cluster string `yaml:"cluster"`
	// Image says what the golden image is made of.
	Image Image `yaml:"image"`
	// Nodes are the load balancers, at least two. The first has the highest priority where no VIP prefers another.
	Nodes []Node `yaml:"nodes"`
	// VIPs are the virtual IPs, at least one.
	VIPs []VIP `yaml:"vips"`
	// VRRP sets how the nodes agree on who holds a VIP.
	VRRP VRRP `yaml:"vrrp"`
	// Stats is haproxy's stats page and Prometheus exporter, on each node's own address. Left out, there is none.
	Stats *Stats `yaml:"stats"`
	// Agent says what ha-agent offers to others.
	Agent Agent `yaml:"agent"`
	// Log is where haproxy logs to.
	Log Log `yaml:"log"`
	// Services are what is balanced.
	Services []Service `yaml:"services"`
	// Backends are groups of servers that several services or routes share.
	Backends []Backend `yaml:"backends"`
	// Firewall makes an nftables table of hapair's own: VRRP only from peers on its own link and interface, stats only from stats.allow. It touches nothing else.
	Firewall bool `yaml:"firewall"`
	// Access says who may log in. Without it nobody can.
	Access Access `yaml:"access"`
	// CloudConfig is more #cloud-config, merged, never over what hapair writes.
	CloudConfig map[string]any `yaml:"cloud_config"`
	// HAProxy passes lines through to haproxy.cfg.
	HAProxy HAProxy `yaml:"haproxy"`
	// Files are further files of the nodes, such as maps, error pages and Lua scripts. They are watched, proven and rolled back with haproxy.cfg.
	Files []File `yaml:"files"`
	// Keepalived passes lines through to keepalived.conf.
	Keepalived Keepalived `yaml:"keepalived"`
	// Digest is derived: the SHA-256 of the file's bytes, in hex.
	Digest string `yaml:"-"`

	doc *strictyaml.Document // nil if the spec was not read from YAML
}

// Image says what the golden image is made of.
type Image struct {
	// Release is the name of the Ubuntu or Debian release: jammy, noble, resolute, bookworm or trixie. Default: noble.
	Release string `yaml:"release"`
	// Packages are installed besides what is needed.
	Packages []string `yaml:"packages"`
}

// Address is an IP address with the length of its network's prefix. Bits is 0 where the prefix was left out.
type Address struct {
	Addr netip.Addr
	Bits int
}

// Node is one load balancer.
type Node struct {
	// Name is the node's name and its router_id: letters, digits, "-", "_" and ".".
	Name string `yaml:"name"`
	// Addresses are where VRRP is spoken and the node is managed; one, or one of each family.
	Addresses []Address `yaml:"address" strictyaml:"one"`
	// The interface that has the address and speaks VRRP: its name, or a mapping that describes it.
	Device Interface `yaml:"interface"`
	// Interfaces describe further interfaces of the node: those that VIPs name, the members of a bond, and what carries a VLAN.
	Interfaces []Interface `yaml:"interfaces"`
	// Gateway is the default route of network-config; one, or one of each family.
	Gateway []netip.Addr `yaml:"gateway" strictyaml:"one"`
	// Nameservers of network-config.
	Nameservers []netip.Addr `yaml:"nameservers"`
	// Network is a network-config of version 2 (what stands below "network:"), taken as it is instead of one made here.
	Network map[string]any `yaml:"network"`
	// Interface is derived: the name of Device.
	Interface string `yaml:"-"`
	// Hostname is derived: Name with "-" for "_".
	Hostname string `yaml:"-"`
}

// Interface is a network interface of a node. Its name alone stands for an Ethernet device that the machine itself names so.
// A description is a part of network-config: it has no effect beside nodes[].network, nor without a prefix on the node's address.
type Interface struct {
	// Name of the interface: letters, digits, "-", "_" and ".", 15 at most.
	Name string `yaml:"name"`
	// MAC is the hardware address of the Ethernet device that gets the name, as in 52:54:00:a8:38:65. Without it the machine must use the name by itself.
	MAC string `yaml:"mac"`
	// Bond lists the Ethernet devices of which the bond is made.
	Bond []string `yaml:"bond"`
	// Mode of the bond, as the kernel names it: active-backup, 802.3ad, balance-xor and so on. Default: active-backup.
	Mode string `yaml:"mode"`
	// Parameters are further parameters of the bond, by netplan's names, as in {lacp-rate: fast}. Default: {mii-monitor-interval: 100}.
	Parameters map[string]any `yaml:"parameters"`
	// VLAN is the VLAN's id, 1 to 4094.
	VLAN int `yaml:"vlan"`
	// Link is the interface that carries the VLAN.
	Link string `yaml:"link"`
}

// VIP is a virtual IP: an address that exactly one node holds.
type VIP struct {
	// Name of the VIP, by which services name it.
	Name string `yaml:"name"`
	// Addresses with their prefixes: one, or a list of up to 128, of both families. All move together; VRRP advertises the first one.
	Addresses []Address `yaml:"address" strictyaml:"one"`
	// The interface that takes the address: the name of one that the nodes have, or a mapping that describes a bond or a VLAN of every node. Default: the node's own interface.
	Device Interface `yaml:"interface"`
	// VirtualRouterID is VRRP's id, 1 to 255. Default: derived from the names of cluster and VIP.
	VirtualRouterID int `yaml:"virtual_router_id"`
	// Prefer names the node that has the highest priority for this VIP. Default: the first node.
	Prefer string `yaml:"prefer"`
	// Group names VIPs that move together: if one of them cannot stay on a node, all VIPs with the same group leave it. They must prefer the same node.
	Group string `yaml:"group"`
	// PreemptDelay is how long the preferred node waits before it takes the VIP back, up to 1000s. It needs vrrp.preempt. Default: 0.
	PreemptDelay time.Duration `yaml:"preempt_delay"`
	// Gateway is the router of the VIP's own subnet; one, or one of each family. If it is set, packets from the VIP leave by the VIP's interface, also to clients that the node's own routes reach by another one.
	Gateway []netip.Addr `yaml:"gateway" strictyaml:"one"`
	// Routes are added on the node that holds the VIP, and on no other.
	Routes []VIPRoute `yaml:"routes"`
	// TrackScripts are further conditions under which a node may hold the VIP, or is preferred for it.
	TrackScripts []TrackScript `yaml:"track_scripts"`
	// OnChange is a command that the agent runs on every node when the state of the VIP changes, and every 10s on the node that holds it. It holds no secret: everyone on the node can read it. See docs/vips.md.
	OnChange *OnChange `yaml:"on_change"`
	// Lines are lines of the VIP's vrrp_instance in keepalived.conf; keepalived itself checks them.
	Lines string `yaml:"lines" strictyaml:"raw"`
	// Interface is derived: the name of Device; empty for the node's own interface.
	Interface string `yaml:"-"`
}

// VIPRoute is a route of the node that holds a VIP.
type VIPRoute struct {
	// To is the destination, a network with its prefix: 10.0.0.0/8; 0.0.0.0/0 is the default route.
	To netip.Prefix `yaml:"to"`
	// Via is the router. Default: none, the destination is on the link.
	Via netip.Addr `yaml:"via"`
	// Interface by which the destination is reached. Default: the VIP's.
	Interface string `yaml:"interface"`
	// Table is the number of the routing table, 1 to 4294967295. Default: the main table.
	Table int `yaml:"table"`
	// Metric of the route, 1 to 4294967295. Default: the kernel's.
	Metric int `yaml:"metric"`
}

// TrackScript is a command whose exit status keepalived reads: 0 is good. It must exist on the node, and only root may be able to change it.
type TrackScript struct {
	// Name of the script, unique in its VIP.
	Name string `yaml:"name"`
	// Command is an absolute path, with arguments that are separated by single spaces.
	Command string `yaml:"command"`
	// User that runs it. Default: hapair-check.
	User string `yaml:"user"`
	// Interval between two runs, in whole seconds up to 1000s; fractions of a second need keepalived 2.3.2. Default: 2s.
	Interval time.Duration `yaml:"interval"`
	// Timeout after which a run counts as failed, at most the interval. Default: the interval.
	Timeout time.Duration `yaml:"timeout"`
	// Rise is the number of good runs after which the script is good. Default: 2.
	Rise int `yaml:"rise"`
	// Fall is the number of failed runs after which the script is bad. Default: 2.
	Fall int `yaml:"fall"`
	// Weight is added to the node's priority while the script is good if it is positive, and subtracted while it is bad if it is negative, -253 to 253. It needs vrrp.preempt. Default: 0, a node whose script is bad does not hold the VIP at all.
	Weight int `yaml:"weight"`
}

// OnChange is a command that the agent runs when a VIP comes or goes. Its command alone stands for it.
type OnChange struct {
	// Command is an absolute path, with arguments that are separated by single spaces. INSTANCE, the name of the VIP's vrrp_instance, its state (MASTER, BACKUP, FAULT or STOP) and its priority follow them, as in a notify script of keepalived.
	Command string `yaml:"command"`
	// User that runs it, without privileges unless it is root. Default: a user that exists only while the command runs.
	User string `yaml:"user"`
	// Timeout after which it is killed, 1s to 5m. Default: 10s.
	Timeout time.Duration `yaml:"timeout"`
}

// Transport is how VRRP advertisements travel.
type Transport string

const (
	Unicast   Transport = "unicast"
	Multicast Transport = "multicast"
)

// VRRP sets how the nodes agree on who holds a VIP.
type VRRP struct {
	// AdvertInt is the time between two advertisements, 10ms to 40.95s in steps of 10ms; a node that is gone is replaced after
	// three. See docs/timers.md for which to take. Default: 250ms.
	AdvertInt time.Duration `yaml:"advert_int"`
	// Preempt gives a VIP back to the preferred node once it has returned. Default: false.
	Preempt bool `yaml:"preempt"`
	// Transport is unicast or multicast. Default: unicast.
	Transport Transport `yaml:"transport"`
}

// Stats is haproxy's stats page, and /metrics beside it.
type Stats struct {
	// Port on each node's own address. Default: 1936.
	Port int `yaml:"port"`
	// User who may see the page. Left out with the password, those in allow alone may.
	User string `yaml:"user"`
	// Password of that user; never in clear text in the spec.
	Password Secret `yaml:"password" strictyaml:"secret"`
	// Allow lists networks that may reach the port without a password, and the only ones that the firewall lets in where there is any.
	Allow []netip.Prefix `yaml:"allow"`
}

// Agent says what ha-agent offers to others.
type Agent struct {
	// Metrics is where Prometheus is answered: an IP address and a port, or "node" and a port for the node's own address, as in node:9736. Left out, nobody is answered.
	Metrics string `yaml:"metrics"`
	// Allow lists networks that may ask for the metrics, and the only ones that the firewall lets in where there is any. Left out, everyone may.
	Allow []netip.Prefix `yaml:"allow"`
}

// Log is where haproxy logs to: /dev/log, or UDP syslog on an address.
type Log struct {
	// Target is /dev/log, an IP address with an optional port, or "node": the node's own address. Default: /dev/log.
	Target string `yaml:"address"`
	// Facility of syslog. Default: local0.
	Facility string `yaml:"facility"`
}

// Access says who may log in.
type Access struct {
	// Users are people, each with keys of their own.
	Users []User `yaml:"users"`
}

// User is a person who may log in with an SSH key.
type User struct {
	// Name of the account: lower-case letters, digits, "-" and "_".
	Name string `yaml:"name"`
	// SSHAuthorizedKeys are public keys, at least one, each a line as in id_ed25519.pub.
	SSHAuthorizedKeys []string `yaml:"ssh_authorized_keys"`
	// Sudo lets the user become root without a password.
	Sudo bool `yaml:"sudo"`
}

// HAProxy sets what holds for all services, and passes lines through to haproxy.cfg, which haproxy itself checks.
type HAProxy struct {
	// MaxConn is the most connections that haproxy takes, of all services together. Default: what the limit of open files allows.
	MaxConn int `yaml:"maxconn"`
	// Timeouts of every service that does not set its own.
	Timeouts Timeouts `yaml:"timeouts"`
	// Check is how often every server is checked whose service does not say so itself.
	Check CheckTimes `yaml:"check"`
	// Global are lines of the global section.
	Global string `yaml:"global" strictyaml:"raw"`
	// Defaults are lines of the defaults section.
	Defaults string `yaml:"defaults" strictyaml:"raw"`
	// Extra are whole sections.
	Extra string `yaml:"extra" strictyaml:"raw"`
	// Config names a file beside the spec that replaces all of haproxy.cfg. haproxy loads a second file with hapair's own sockets after it.
	Config string `yaml:"config"`
	// ConfigContent is derived: the content of that file.
	ConfigContent []byte `yaml:"-"`
}

// File is a file of every node, the same on all. It belongs to root.
type File struct {
	// Path on the node.
	Path string `yaml:"path"`
	// From names a file beside the spec with the content.
	From string `yaml:"from"`
	// Content of the file, instead of from.
	Content string `yaml:"content" strictyaml:"raw"`
	// Mode is the file's permissions, in quotes: "0640" lets haproxy's group read it, and no other user. Default: "0644".
	Mode string `yaml:"mode"`
	// Data is derived: the content, wherever it comes from.
	Data []byte `yaml:"-"`
	// Perm is derived: the mode as a number.
	Perm fs.FileMode `yaml:"-"`
}

// Keepalived passes lines through to keepalived.conf; keepalived itself checks them.
type Keepalived struct {
	// Extra are whole blocks.
	Extra string `yaml:"extra" strictyaml:"raw"`
}
