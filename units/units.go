// Package units holds the files that are the same on every node: systemd units and drop-ins, sysctls, tmpfiles,
// sysusers, and two small scripts.
package units

import _ "embed"

// SysctlPath is where Sysctl goes.
const SysctlPath = "/etc/sysctl.d/60-hapair.conf"

// Sysctl lets haproxy bind a virtual IP that the node does not hold.
//
//go:embed 60-hapair.conf
var Sysctl []byte
