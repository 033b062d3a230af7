// Package units contains the files that are the same on every node: systemd units and drop-ins, sysctls, tmpfiles, sysusers,
// and two small scripts.
package units

import (
	"embed"
	"fmt"
	"io/fs"

	"github.com/hapair/hapair/internal/wellknown"
)

//go:embed *.service *.socket *.conf *.sh
var content embed.FS

// File is a file on a node. Its owner is root.
type File struct {
	Path    string
	Mode    fs.FileMode // if Content is nil: the maximum permissions
	Content []byte      // nil if the content differs between nodes
	// Optional reports whether the file may be missing.
	Optional bool
}

// Sysctl returns the file that allows haproxy to bind a virtual IP that the node does not hold.
func Sysctl() File { return file(wellknown.SysctlConfig, "60-hapair.conf") }

// Common returns the files that every node has, in addition to Sysctl.
func Common() []File {
	return append(Revision(),
		file("/usr/lib/systemd/system/ha-agent.service", "ha-agent.service"),
		file("/usr/lib/systemd/system/haproxy.service.d/hapair.conf", "haproxy.conf"),
		file("/usr/lib/systemd/system/keepalived.service.d/hapair.conf", "keepalived.conf"),
		file("/usr/lib/tmpfiles.d/hapair.conf", "tmpfiles.conf"),
		file("/etc/tmpfiles.d/haproxy.conf", "haproxy-tmpfiles.conf"),
		file("/usr/lib/sysusers.d/hapair.conf", "sysusers.conf"),
		file("/usr/lib/systemd/networkd.conf.d/hapair.conf", "networkd.conf"),
		file("/etc/apt/apt.conf.d/60hapair", "apt.conf"),
		file("/etc/needrestart/conf.d/hapair.conf", "needrestart.conf"),
	)
}

// Former returns where nodes from older images have files of Common. There, they would hide the new ones.
func Former() []string {
	return []string{"/etc/systemd/system/haproxy.service.d/hapair.conf", "/etc/systemd/system/keepalived.service.d/hapair.conf",
		"/etc/systemd/networkd.conf.d/hapair.conf"}
}

// Revision returns the units of a rollout's trial: the one that confirms or undoes it, and those that answer other nodes.
func Revision() []File {
	return []File{
		file("/usr/lib/systemd/system/hapair-revision.service", "hapair-revision.service"),
		file("/usr/lib/systemd/system/hapair-revision.socket", "hapair-revision.socket"),
		file("/usr/lib/systemd/system/hapair-revision@.service", "hapair-revision@.service"),
	}
}

// Packaged returns the files of the Debian package of ha-agent: those of every node, and those of optional parts, whose units are
// not enabled. Files in /etc are conffiles; all others are replaced by an upgrade.
func Packaged() []File {
	return append(append(Common(), Sysctl(), Firewall()), Certificates()...)
}

// Firewall returns the unit that loads FirewallPath.
func Firewall() File {
	return file("/usr/lib/systemd/system/hapair-firewall.service", "hapair-firewall.service")
}

// Certificates returns the files that create placeholders for missing certificates. CertificatesListPath lists the
// certificates, one path per line.
func Certificates() []File {
	return []File{
		file("/usr/lib/systemd/system/hapair-certificates.service", "hapair-certificates.service"),
		script("/usr/lib/hapair/placeholder-certificates", "placeholder-certificates.sh"),
	}
}

// Network returns systemd-networkd's drop-in for an interface that takes virtual IPs or has a node's own address.
// networkFile is the name of the interface's file, which the drop-in's directory must have.
func Network(networkFile string) File {
	return file("/etc/systemd/network/"+networkFile+".d/hapair.conf", "network.conf")
}

// WaitOnline returns a drop-in that makes a boot wait only for the interfaces, as netplan did before it also waited for a
// name server. Its name sorts after netplan's own drop-in, 10-netplan.conf.
func WaitOnline() File {
	return file("/etc/systemd/system/systemd-networkd-wait-online.service.d/hapair.conf", "wait-online.conf")
}

func file(path, name string) File {
	b, err := content.ReadFile(name)
	if err != nil {
		panic(fmt.Sprintf("%s is not embedded", name))
	}
	return File{Path: path, Mode: 0o644, Content: b}
}

func script(path, name string) File {
	f := file(path, name)
	f.Mode = 0o755
	return f
}
