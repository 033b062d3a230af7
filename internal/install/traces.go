package install

// kind is what must hold of the files that a trace names.
type kind int

const (
	absent     kind = iota // nothing bears the name, not even a link that leads nowhere
	empty                  // the file is empty
	without                // the file has no line that the pattern matches
	only                   // the file is empty, or a line of it is the pattern
	emptyFiles             // all files below the directory are empty
)

// trace is something that an image must not have when it is sealed. The last element of a path may be a pattern of the
// shell; a path that begins with "~/" is looked for in the home of every account. pattern is an extended regular
// expression. fault follows the file's name in a message.
type trace struct {
	kind    kind
	paths   []string
	pattern string
	fault   string
}

// noHome matches the directories that are no homes although accounts name them as theirs.
const noHome = `/(bin|dev|proc|sbin|sys|usr|run|var|nonexistent|usr/s?bin|var/run/.*|run/.*|proc/.*|sys/.*)`

// maker is the fault of what belongs to one machine's network.
const maker = "is left: it is the network of the machine that made the image"

// traces is what sealing must have removed. Both the script that checks a seal (sealCheck) and Left are made of it.
func traces() []trace {
	return []trace{
		{empty, []string{"/etc/machine-id", "/var/lib/dbus/machine-id"}, "", "is not empty: machines would share it, and their DHCP leases with it"},
		{absent, []string{"/etc/ssh/ssh_host_*_key"}, "", "is left: machines would share their ssh host keys"},
		{absent, []string{"/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/etc/nvme/hostid"}, "", "is left: machines would share it"},
		{without, []string{"/etc/iscsi/initiatorname.iscsi"}, "^InitiatorName=", "names an initiator: machines would share it"},
		{absent, []string{"/var/lib/cloud/instance", "/var/lib/cloud/seed"}, "", "is left: cloud-init would take the first boot for a later one"},
		{absent, []string{"/etc/netplan/50-cloud-init.yaml", "/etc/netplan/00-installer-config.yaml"}, "", maker},
		{absent, []string{"/etc/network/interfaces.d/50-cloud-init", "/etc/systemd/network/10-cloud-init-*.network"}, "", maker},
		{absent, []string{"/etc/systemd/network/50-cloud-init-*.link", "/etc/udev/rules.d/70-persistent-net.rules"}, "", maker},
		{absent, []string{"/etc/cloud/cloud.cfg.d/99-installer.cfg", "/etc/cloud/cloud.cfg.d/90-installer-network.cfg"}, "", "is left: cloud-init would take it for this machine's"},
		{absent, []string{"/etc/.resolv.conf.systemd-resolved.bak"}, "", "is left: it has the nameservers of the machine that made the image"},
		{absent, []string{"/var/lib/dhcp/*.leases", "/var/lib/dhclient/*.leases"}, "", "is left: machines would ask for one address"},
		{only, []string{"/etc/hostname"}, "localhost", "is the name of the machine that made the image"},
		{absent, []string{"/var/lib/apt/lists/*Release*", "/var/lib/apt/lists/*Packages*"}, "", "is left"},
		{emptyFiles, []string{"/var/log"}, "", "has logs that are not empty"},
		{absent, []string{"/usr/sbin/policy-rc.d.hapair-kept"}, "", "is left"},
		{without, []string{"/usr/sbin/policy-rc.d"}, "hapair: nothing starts", "is left: no service could be started"},
		{absent, []string{"~/.ssh/authorized_keys*"}, "", "is left: the owner of its keys could log in to every node"},
		{without, []string{"~/.ssh/*"}, "PRIVATE KEY-----", "is a private key: every node would have it"},
		{absent, []string{"~/.*_history", "~/.wget-hsts", "~/.ssh/known_hosts"}, "", "is left"},
	}
}
