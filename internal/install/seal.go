package install

// Seal returns the steps that remove from an image what two machines must not share, and then check the result. Sealing
// twice is safe.
func Seal() []Step {
	return []Step{
		{Name: "seal the image", Run: Script(sealScript)},
		{Name: "check the seal", Run: Script(sealCheck())},
	}
}

// sealScript seals an image. The reason for each line is in the list of traces. Logs are emptied and not removed, because
// some must exist with their owner (btmp, wtmp). /var/log/journal is kept, because without it the journal would be lost at a
// reboot. On a running machine, journald writes to /run until it restarts. With an empty machine-id, systemd generates a new
// one at each boot; the word "uninitialized" would also apply unit presets, which would change the units that were enabled
// or disabled here. The resolver's backup contains resolv.conf as it was when systemd-resolved was installed, with the name
// servers of the machine that made the image. The script uses only few programs of the image: cut, find, grep, ln, ls, rm,
// sort, truncate.
const sealScript = `set -eu` + homesFunction + `if command -v cloud-init >/dev/null; then
	cloud-init clean --logs --seed --machine-id
fi
rm -rf /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/data /var/lib/cloud/sem /var/lib/cloud/seed
rm -f /etc/netplan/50-cloud-init.yaml /etc/netplan/00-installer-config.yaml /etc/network/interfaces.d/50-cloud-init
rm -f /etc/systemd/network/10-cloud-init-*.network /etc/systemd/network/50-cloud-init-*.link
rm -f /etc/udev/rules.d/70-persistent-net.rules /etc/udev/rules.d/75-cloud-ifupdown.rules /etc/udev/rules.d/75-persistent-net-generator.rules
rm -f /etc/cloud/cloud.cfg.d/90-installer-network.cfg /etc/cloud/cloud.cfg.d/99-installer.cfg /etc/cloud/cloud.cfg.d/subiquity-disable-cloudinit-networking.cfg
rm -f /etc/apt/apt.conf.d/90cloud-init-aptproxy /etc/apt/apt.conf.d/94cloud-init-aptproxy
rm -f /etc/.resolv.conf.systemd-resolved.bak
: >/etc/machine-id
if [ -e /var/lib/dbus ] && [ ! -L /var/lib/dbus/machine-id ]; then
	rm -f /var/lib/dbus/machine-id
	ln -s /etc/machine-id /var/lib/dbus/machine-id
fi
if [ -s /etc/hostname ]; then
	echo localhost >/etc/hostname
fi
if grep -qs '^127\.0\.1\.1[[:space:]]' /etc/hosts; then
	hosts=$(grep -v '^127\.0\.1\.1[[:space:]]' /etc/hosts || :)
	printf '%s\n' "$hosts" >/etc/hosts
fi
if grep -qs '^InitiatorName=' /etc/iscsi/initiatorname.iscsi; then
	echo GenerateName=yes >/etc/iscsi/initiatorname.iscsi
fi
rm -f /etc/nvme/hostid /etc/nvme/hostnqn
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /boot/efi/loader/random-seed
if command -v apt-get >/dev/null; then
	apt-get clean
fi
rm -rf /var/lib/apt/lists
[ ! -d /var/lib/apt ] || mkdir -p /var/lib/apt/lists/partial
rm -f /var/cache/apt/pkgcache.bin /var/cache/apt/srcpkgcache.bin
rm -f /var/cache/debconf/*-old /var/lib/dpkg/*-old /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
rm -f /var/lib/dhcp/*.lease* /var/lib/dhclient/*.lease* /var/lib/dhcpcd/*.lease* /var/lib/NetworkManager/*.lease
rm -rf /var/lib/systemd/coredump/* /var/crash/*
if [ -d /run/systemd/system ]; then
	journalctl --relinquish-var || :
fi
rm -rf /var/log/installer
[ ! -d /var/log/journal ] || find /var/log/journal -mindepth 1 -delete
[ ! -d /var/log ] || {
	find /var/log -xdev -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name 'cloud-init*.log' -o -path '/var/log/apt/*' \) -delete
	find /var/log -xdev -type f -size +0 -exec truncate -s 0 {} +
}
echo "$homes" | while IFS= read -r home; do
	for f in "$home"/.ssh/authorized_keys*; do
		[ ! -e "$f" ] && [ ! -L "$f" ] || echo "removed: $f, because the owner of its keys could log in to every node"
	done
	rm -f "$home"/.ssh/authorized_keys* "$home"/.ssh/known_hosts* "$home"/.*_history "$home"/.sudo_as_admin_successful
	rm -f "$home"/.wget-hsts "$home"/.lesshst "$home"/.viminfo "$home"/.Xauthority
	rm -rf "$home"/.cache "$home"/.ansible
done
for dir in /tmp /var/tmp; do
	[ ! -d $dir ] || find $dir -xdev -mindepth 1 -maxdepth 1 ! -name 'systemd-private-*' ! -name 'packer*' ! -name 'script_*' -exec rm -rf {} +
done
`
