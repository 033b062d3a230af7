package control

import (
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/revision"
)

// Status is what an operator wants to know of a node.
type Status struct {
	Cluster     string `json:"cluster"`
	Node        string `json:"node"`
	Daemon      Daemon `json:"daemon"`
	Maintenance bool   `json:"maintenance"`
	// MaintenanceUntil is when the daemon ends the maintenance; zero: it has no end.
	MaintenanceUntil time.Time        `json:"maintenance_until,omitzero"`
	Versions         Versions         `json:"versions"`
	Targets          []Target         `json:"targets"`
	VIPs             []VIP            `json:"vips"`
	Instances        []Instance       `json:"instances,omitempty"`
	HAProxy          HAProxy          `json:"haproxy"`
	Servers          []ServerState    `json:"servers,omitempty"` // what operators have set
	Certificates     []Certificate    `json:"certificates,omitempty"`
	Firewall         *Firewall        `json:"firewall,omitempty"` // nil: the node has none
	Revision         *Revision        `json:"revision,omitempty"` // nil: no rollout has reached the node
	LastChange       *journal.Change  `json:"last_change,omitempty"`
	Changes          []journal.Change `json:"changes,omitempty"` // the last ones, the newest first
	// Healthy reports whether there are no Problems. `ha-agent status` exits with 1 if it is false.
	Healthy bool `json:"healthy"`
	// Problems are what an operator has to look after, a sentence each.
	Problems []string `json:"problems,omitempty"`
}

// Revision is what the last rollout brought.
type Revision struct {
	revision.Ref           // number 0: none was confirmed yet
	Since        time.Time `json:"since,omitzero"`
	By           string    `json:"by,omitempty"`
	// Drift are the files that were edited since.
	Drift []string             `json:"drift,omitempty"`
	Trial *revision.TrialState `json:"trial,omitempty"` // nil: there is none
}

// Daemon is the agent itself.
type Daemon struct {
	Running bool      `json:"running"`
	PID     int       `json:"pid,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Why     string    `json:"why,omitempty"` // it does not answer
	Panics  []Panic   `json:"panics,omitempty"`
}

// Panic is a part of the agent that has panicked since the agent was started. The other parts went on, and this one was tried
// again.
type Panic struct {
	Part   string    `json:"part"`
	Reason string    `json:"reason"` // of the last one
	Count  int       `json:"count"`
	Last   time.Time `json:"last"`
}

// Versions of what runs, where they could be found out.
type Versions struct {
	Agent      string `json:"agent"`
	HAProxy    string `json:"haproxy,omitempty"`
	Keepalived string `json:"keepalived,omitempty"`
}

// Firewall is the unit that loads hapair's firewall.
type Firewall struct {
	Unit   string `json:"unit"`
	Active string `json:"active,omitempty"` // active: it is loaded; empty: systemd does not answer
}

// Target is a service with its files.
type Target struct {
	Name       string `json:"name"`
	Unit       string `json:"unit,omitempty"`
	Active     string `json:"active,omitempty"` // of the unit: active, failed, …; empty where it is not known
	Generation int    `json:"generation"`       // the number of the change that proved the last known good files; 0: none yet
	Drift      bool   `json:"drift"`            // the files are other than the last known good ones, on which the service runs
	// Digests of all files together are SHA-256, in hexadecimal: equal ones mean equal files.
	Digest     string `json:"digest,omitempty"`
	GoodDigest string `json:"good_digest,omitempty"`
	Files      []File `json:"files"`
}

// File is a file of a target.
type File struct {
	Path string `json:"path"`
	// State is good (as last proven), drift (other than that), unproven (nothing was proven yet), missing, or unreadable.
	State string `json:"state"`
	Why   string `json:"why,omitempty"` // it is unreadable
	// Digests are SHA-256, in hexadecimal.
	Digest     string `json:"digest,omitempty"`
	GoodDigest string `json:"good_digest,omitempty"`
}

// VIP is a virtual IP as the kernel has it.
type VIP struct {
	Name      string   `json:"name"`
	Interface string   `json:"interface"`
	Held      bool     `json:"held"`
	Addresses []string `json:"addresses"`
	// HeldAddresses are those of them that the kernel has: all or none, unless something is wrong.
	HeldAddresses []string `json:"held_addresses,omitempty"`
	Instances     []string `json:"instances,omitempty"` // those of keepalived that decide on it
	// OtherHolders are machines that answer for it on the link while this one holds it: more than one holds it.
	OtherHolders []OtherHolder `json:"other_holders,omitempty"`
	// OtherHoldersUnknown is why the link could not be asked. It is not asked where the daemon is dead.
	OtherHoldersUnknown string `json:"other_holders_unknown,omitempty"`
	// OnChange is what became of the command that runs when it comes or goes; nil: it has none, or the daemon is dead.
	OnChange *OnChange `json:"on_change,omitempty"`
}

// OtherHolder is a machine that answers for an address.
type OtherHolder struct {
	Address         string `json:"address"`
	HardwareAddress string `json:"hardware_address"`
}

// Unknown is the state of an instance that the running keepalived has not reported yet.
const Unknown = "unknown"

// Instance is a vrrp_instance: what the running keepalived reports of it, and what the kernel has.
type Instance struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`         // MASTER, BACKUP, FAULT, STOP, or Unknown
	Why      string    `json:"why,omitempty"` // why the state is Unknown
	Priority int       `json:"priority,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	// SinceBoot is Since on the kernel's monotonic clock, which nobody can set, in nanoseconds.
	SinceBoot time.Duration `json:"since_boot,omitempty"`
	// Kernel says whether the addresses are here: "held", "not held", "held in part"; empty where they are not known.
	Kernel string `json:"kernel,omitempty"`
}

// HAProxy is whether haproxy answers now.
type HAProxy struct {
	Answers bool   `json:"answers"`
	Why     string `json:"why,omitempty"`
	PID     int    `json:"pid,omitempty"` // of its worker
}

// OnChange is what became of the command that runs when a VIP comes or goes.
type OnChange struct {
	Command  string    `json:"command"`
	State    string    `json:"state,omitempty"` // for which it ran last: MASTER, BACKUP, FAULT or STOP
	Last     time.Time `json:"last,omitzero"`   // when that run ended
	Why      string    `json:"why,omitempty"`   // that run failed
	Runs     int       `json:"runs"`            // since the agent was started
	Failures int       `json:"failures"`        // those of them that failed
}
