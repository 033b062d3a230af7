package install

// kind is the condition that the files of a trace must meet.
type kind int

const (
	absent     kind = iota // the file does not exist, not even as a broken symbolic link
	empty                  // the file is empty
	without                // no line of the file matches the pattern
	only                   // the file is empty, or the pattern is one of its lines
	emptyFiles             // all files below the directory are empty
)

// trace is something that a sealed image must not contain. The last element of a path may be a shell pattern. A path that
// begins with "~/" is searched for in the home of every account. pattern is an extended regular expression. fault follows
// the file's name in a message.
type trace struct {
	kind    kind
	paths   []string
	pattern string
	fault   string
}

// noHome matches directories that are not homes, although accounts name them as their home.
const noHome = `/(bin|dev|proc|sbin|sys|usr|run|var|nonexistent|usr/s?bin|var/run/.*|run/.*|proc/.*|sys/.*)`

// maker is the fault of files that belong to the network of the machine that made the image.
const maker = "exists: it describes the network of the machine that made the image"

// traces returns what sealing must have removed. The check script (sealCheck) and Left are both built from it.
func traces() []trace {
	return []trace{
		{empty, []string{"/etc/machine-id", "/var/lib/dbus/machine-id"}, "", "is not empty: machines would share it, and with it their DHCP leases"},
		{absent, []string{"/etc/ssh/ssh_host_*_key"}, "", "exists: machines would share their ssh host keys"},
		{absent, []string{"/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/etc/nvme/hostid"}, "", "exists: machines would share it"},
		{without, []string{"/etc/iscsi/initiatorname.iscsi"}, "^InitiatorName=", "names an initiator: machines would share it"},
		{absent, []string{"/var/lib/cloud/instance", "/var/lib/cloud/seed"}, "", "exists: cloud-init would treat the first boot as a later one"},
		{absent, []string{"/etc/netplan/50-cloud-init.yaml", "/etc/netplan/00-installer-config.yaml"}, "", maker},
		{absent, []string{"/etc/network/interfaces.d/50-cloud-init", "/etc/systemd/network/10-cloud-init-*.network"}, "", maker},
		{absent, []string{"/etc/systemd/network/50-cloud-init-*.link", "/etc/udev/rules.d/70-persistent-net.rules"}, "", maker},
		{absent, []string{"/etc/cloud/cloud.cfg.d/99-installer.cfg", "/etc/cloud/cloud.cfg.d/90-installer-network.cfg"}, "", "exists: cloud-init would use it for this machine"},
		{absent, []string{"/etc/.resolv.conf.systemd-resolved.bak"}, "", "exists: it has the name servers of the machine that made the image"},
		{absent, []string{"/var/lib/dhcp/*.leases", "/var/lib/dhclient/*.leases"}, "", "exists: machines would request the same address"},
		{only, []string{"/etc/hostname"}, "localhost", "is the name of the machine that made the image"},
		{absent, []string{"/var/lib/apt/lists/*Release*", "/var/lib/apt/lists/*Packages*"}, "", "exists"},
		{emptyFiles, []string{"/var/log"}, "", "has logs that are not empty"},
		{absent, []string{"/usr/sbin/policy-rc.d.hapair-kept"}, "", "exists"},
		{without, []string{"/usr/sbin/policy-rc.d"}, "hapair: nothing starts", "exists: no service could be started"},
		{absent, []string{"~/.ssh/authorized_keys*"}, "", "exists: the owner of its keys could log in to every node"},
		{without, []string{"~/.ssh/*"}, "PRIVATE KEY-----", "is a private key: every node would have it"},
		{absent, []string{"~/.*_history", "~/.wget-hsts", "~/.ssh/known_hosts"}, "", "exists"},
	}
}
