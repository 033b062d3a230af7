package install

// Seal lists the steps that take away whatever must not be shared by two machines of one image, and then check that it is
// gone. Sealing twice does no harm.
func Seal() []Step {
	return []Step{
		{Name: "seal the image", Run: Script(sealScript)},
		{Name: "check the seal", Run: Script(sealCheck)},
	}
}

// sealScript: what each line guards from is in the list of sealCheck. The logs are emptied rather than removed, for some
// must be there with their owner (btmp, wtmp). An empty machine-id makes systemd take a new one at each boot's start; the
// word "uninitialized" would besides run presets over the units that were switched here.
const sealScript = `set -eu
if command -v cloud-init >/dev/null; then
	cloud-init clean --logs --seed --machine-id
fi
rm -rf /var/lib/cloud/instance /var/lib/cloud/instances /var/lib/cloud/data /var/lib/cloud/sem /var/lib/cloud/seed
rm -f /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init /etc/cloud/cloud.cfg.d/90-installer-network.cfg
: >/etc/machine-id
if [ -e /var/lib/dbus ] && [ ! -L /var/lib/dbus/machine-id ]; then
	rm -f /var/lib/dbus/machine-id
	ln -s /etc/machine-id /var/lib/dbus/machine-id
fi
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /boot/efi/loader/random-seed
if command -v apt-get >/dev/null; then
	apt-get clean
fi
rm -rf /var/lib/apt/lists
[ ! -d /var/lib/apt ] || mkdir -p /var/lib/apt/lists/partial
rm -f /var/cache/apt/pkgcache.bin /var/cache/apt/srcpkgcache.bin
rm -f /var/cache/debconf/*-old /var/lib/dpkg/*-old /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
rm -f /var/lib/dhcp/*.leases
rm -rf /var/log/journal /var/log/installer
[ ! -d /var/log ] || {
	find /var/log -xdev -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name 'cloud-init*.log' -o -path '/var/log/apt/*' \) -delete
	find /var/log -xdev -type f -size +0 -exec truncate -s 0 {} +
}
rm -f /root/.bash_history /root/.wget-hsts /root/.lesshst /root/.viminfo /home/*/.bash_history
rm -rf /root/.cache
for dir in /tmp /var/tmp; do
	[ ! -d $dir ] || find $dir -xdev -mindepth 1 -maxdepth 1 ! -name 'systemd-private-*' ! -name 'packer*' ! -name 'script_*' -exec rm -rf {} +
done
`

// sealCheck says what is left, all of it.
const sealCheck = `set -u
bad=0
left() { echo "$1"; bad=1; }
[ ! -s /etc/machine-id ] || left "/etc/machine-id is not empty: machines would share it, and their DHCP leases with it"
if [ -f /var/lib/dbus/machine-id ] && [ -s /var/lib/dbus/machine-id ]; then left "/var/lib/dbus/machine-id is not empty"; fi
for f in /etc/ssh/ssh_host_*_key; do [ ! -e "$f" ] || left "$f is left: machines would share their ssh host keys"; done
for f in /var/lib/systemd/random-seed /var/lib/systemd/credential.secret; do [ ! -e $f ] || left "$f is left: machines would share it"; done
for f in /var/lib/cloud/instance /var/lib/cloud/seed; do [ ! -e $f ] && [ ! -L $f ] || left "$f is left: cloud-init would take the first boot for a later one"; done
for f in /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init; do [ ! -e $f ] || left "$f is left: it is the network of the machine that made the image"; done
for f in /var/lib/apt/lists/*Release* /var/lib/apt/lists/*Packages*; do [ ! -e "$f" ] || left "$f is left"; done
[ ! -d /var/log/journal ] || left "/var/log/journal is left"
if [ -d /var/log ]; then
	full=$(find /var/log -xdev -type f -size +0)
	[ -z "$full" ] || left "logs are not empty: $full"
fi
for f in /root/.bash_history /usr/sbin/policy-rc.d.hapair-kept; do [ ! -e $f ] || left "$f is left"; done
if grep -qs 'hapair: nothing starts' /usr/sbin/policy-rc.d; then left "/usr/sbin/policy-rc.d is left: no service could be started"; fi
exit $bad
`
