// Package recipe computes, as data, what a machine must contain. Whatever delivers it (cloud-init, Packer, an image, a
// test host) only carries that data.
package recipe

import "io/fs"

// Recipe is what a machine must contain.
type Recipe struct {
	Release  string   `json:"release"`            // the release's name: noble
	Hostname string   `json:"hostname,omitempty"` // empty in an image's recipe: an image has no identity
	Packages []string `json:"packages,omitempty"` // sorted
	Hold     []string `json:"hold,omitempty"`     // packages that unattended upgrades leave alone
	Users    []User   `json:"users,omitempty"`    // made before the packages
	Agent    string   `json:"agent,omitempty"`    // where the agent's binary goes; empty where the recipe has none
	Files    []File   `json:"files,omitempty"`    // sorted by path
	Units    []Unit   `json:"units,omitempty"`    // in the order in which they are to be switched
	Logins   []Login  `json:"logins,omitempty"`   // people who may log in
	Network  *Network `json:"network,omitempty"`  // nil: the platform's own configuration holds
}

// File is a regular file of a machine.
type File struct {
	Path    string      `json:"path"` // absolute and clean
	Mode    fs.FileMode `json:"mode"` // permission bits only
	Owner   string      `json:"owner"`
	Group   string      `json:"group"`
	Content []byte      `json:"content"`
	// Package is the package whose installation creates the file's owner, group or directory's meaning: on a stock
	// machine the file cannot be written before it. Empty where the file needs none.
	Package string `json:"package,omitempty"`
	// Early files must be there before the packages are installed, for instance sysctls that a service needs at its
	// first start.
	Early bool `json:"early,omitempty"`
}

// User is a system account without a login.
type User struct {
	Name string `json:"name"`
	Home string `json:"home"` // /nonexistent
}

// Login is a person's account.
type Login struct {
	Name              string   `json:"name"`
	SSHAuthorizedKeys []string `json:"ssh_authorized_keys"`
	Sudo              bool     `json:"sudo"`
}

// States of a unit.
const (
	Enabled  = "enabled"
	Disabled = "disabled"
	Masked   = "masked"
)

// Unit is a systemd unit and what becomes of it.
type Unit struct {
	Name  string `json:"name"`
	State string `json:"state"` // enabled, disabled or masked
}

// Network is a network-config of version 2: the mapping below "network:".
type Network struct {
	Config map[string]any `json:"config"`
}
