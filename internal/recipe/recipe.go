// Package recipe computes, as data, what a machine must contain. A deliverer (cloud-init, Packer, an image, a test host)
// carries that data and does not change it.
package recipe

import "io/fs"

// Recipe is what a machine must contain.
type Recipe struct {
	Release  string   `json:"release"`            // the release's name: noble
	Hostname string   `json:"hostname,omitempty"` // empty in an image's recipe: an image has no identity
	Packages []string `json:"packages,omitempty"` // sorted
	Hold     []string `json:"hold,omitempty"`     // packages that are not upgraded automatically
	Users    []User   `json:"users,omitempty"`    // created before the packages are installed
	Agent    string   `json:"agent,omitempty"`    // the path of the agent's binary; empty if the recipe has none
	Files    []File   `json:"files,omitempty"`    // sorted by path
	Units    []Unit   `json:"units,omitempty"`    // in the order in which they are enabled
	Logins   []Login  `json:"logins,omitempty"`   // users who may log in
	Network  *Network `json:"network,omitempty"`  // nil: the platform's own configuration applies
}

// File is a regular file of a machine.
type File struct {
	Path    string      `json:"path"` // absolute and clean
	Mode    fs.FileMode `json:"mode"` // permission bits only
	Owner   string      `json:"owner"`
	Group   string      `json:"group"`
	Content []byte      `json:"content"`
	// Package is the package that creates the file's owner, group or directory: on a stock machine the file is written after
	// its installation. Empty if the file needs none.
	Package string `json:"package,omitempty"`
	// Early files must exist before the packages are installed, for example sysctls that a service needs at its first start.
	Early bool `json:"early,omitempty"`
}

// User is a system account without a login.
type User struct {
	Name string `json:"name"`
	Home string `json:"home"` // /nonexistent
}

// Login is an account of a user who may log in.
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

// Unit is a systemd unit and its state.
type Unit struct {
	Name  string `json:"name"`
	State string `json:"state"` // enabled, disabled or masked
}

// Network is a network-config of version 2: the mapping below "network:".
type Network struct {
	Config map[string]any `json:"config"`
}
