// Package config reads and writes /etc/ha-agent/agent.yaml: what the agent must know about its node. bake writes the file.
package config

import (
	"net/netip"
	"path/filepath"
	"slices"
	"time"
)

// APIVersion is the version of agent.yaml that this program writes and reads.
const APIVersion = "hapair-agent/v1"

// Config is the content of agent.yaml. Unknown keys are errors.
type Config struct {
	APIVersion string     `yaml:"apiVersion"`
	Cluster    string     `yaml:"cluster"`
	Node       string     `yaml:"node"`    // the node's name in the spec, which is also keepalived's router_id
	Release    string     `yaml:"release"` // the release's name: noble
	HAProxy    HAProxy    `yaml:"haproxy"`
	Keepalived Keepalived `yaml:"keepalived"`
	Sysctl     Sysctl     `yaml:"sysctl"`
	Metrics    *Metrics   `yaml:"metrics,omitempty"` // nil: there is no metrics page
	Peers      []Peer     `yaml:"peers"`
	VIPs       []VIP      `yaml:"vips"`
	Listeners  []Listener `yaml:"listeners"`
	Packages   []string   `yaml:"packages"` // what `verify` expects to be installed
}

// HAProxy is the target haproxy.
type HAProxy struct {
	Config       string `yaml:"config"`        // /etc/haproxy/haproxy.cfg
	Unit         string `yaml:"unit"`          // haproxy.service
	MasterSocket string `yaml:"master_socket"` // /run/haproxy-master.sock
	CheckSocket  string `yaml:"check_socket"`  // /run/haproxy/check.sock
	// Certificates are files, or directories that end with "/".
	Certificates []string `yaml:"certificates,omitempty"`
	Files        []string `yaml:"files,omitempty"` // others that haproxy.cfg names: maps, error pages, scripts
	Stats        *Stats   `yaml:"stats,omitempty"`
	// AllowNoServers keeps changes that leave a backend without servers. Default: they are rolled back.
	AllowNoServers bool `yaml:"allow_no_servers,omitempty"`
}

// CertificatePaths returns where certificates are: Certificates, and those of the Files whose names look like one.
func (h *HAProxy) CertificatePaths() []string {
	all := slices.Clone(h.Certificates)
	for _, path := range h.Files {
		switch filepath.Ext(path) {
		case ".pem", ".crt", ".cer":
			all = append(all, path)
		}
	}
	return all
}

// Stats is the address of the node's own stats page. It requires a password, or an allowed client address.
type Stats struct {
	Address netip.AddrPort `yaml:"address"`
}

// Keepalived is the target keepalived.
type Keepalived struct {
	Config     string `yaml:"config"`      // /etc/keepalived/keepalived.conf
	Unit       string `yaml:"unit"`        // keepalived.service
	NotifyFIFO string `yaml:"notify_fifo"` // /run/ha-agent/notify.fifo
	TrackFile  string `yaml:"track_file"`  // 0 means that haproxy answers
}

// Sysctl is the target sysctl.
type Sysctl struct {
	File string `yaml:"file"` // /etc/sysctl.d/60-hapair.conf
}

// Metrics is the address at which Prometheus can fetch metrics.
type Metrics struct {
	Address netip.AddrPort `yaml:"address"`
	Allow   []netip.Prefix `yaml:"allow,omitempty"` // networks of clients; empty: all
}

// Peer is another node of the cluster.
type Peer struct {
	Name      string       `yaml:"name"`
	Addresses []netip.Addr `yaml:"addresses"`
}

// VIP is a virtual IP that the node may hold.
type VIP struct {
	Name      string         `yaml:"name"`
	Interface string         `yaml:"interface"`
	Addresses []netip.Prefix `yaml:"addresses"`
	Instances []string       `yaml:"instances"` // names of vrrp_instance sections: one, or one for each address family
	OnChange  *OnChange      `yaml:"on_change,omitempty"`
}

// OnChange is a command that runs when the node gets or loses a VIP.
type OnChange struct {
	Command string        `yaml:"command"`        // an absolute path and arguments, separated by single spaces
	User    string        `yaml:"user,omitempty"` // empty: a temporary user that exists only while the command runs
	Timeout time.Duration `yaml:"timeout"`
}

// Listener is a port of a service on a virtual IP, where haproxy must listen on every node.
type Listener struct {
	Service string         `yaml:"service"`
	Address netip.AddrPort `yaml:"address"`
}
