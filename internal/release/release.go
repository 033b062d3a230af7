// Package release describes what each Ubuntu and Debian release ships and supports. All differences between releases are
// data in this package.
package release

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/nearest"
)

// Version is the version of a program: major, minor, patch.
type Version [3]int

// ParseVersion parses the first numbers of a version as programs and packages print it: 2.6.12-1+deb12u2, 26.1.
func ParseVersion(s string) (Version, error) {
	var v Version
	for i, part := range strings.SplitN(s, ".", 3) {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil {
			return v, fmt.Errorf("cannot parse the version %q: must begin with numbers, as in 2.8.16", s)
		}
		v[i] = n
	}
	return v, nil
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// AtLeast reports whether v is at least major.minor.patch.
func (v Version) AtLeast(major, minor, patch int) bool {
	w := Version{major, minor, patch}
	for i := range v {
		if v[i] != w[i] {
			return v[i] > w[i]
		}
	}
	return true
}

// Release is one release of a distribution.
type Release struct {
	Name         string // the codename, as in apt's sources: noble
	Title        string // Ubuntu 24.04
	Distribution string // ubuntu or debian

	HAProxy    Version
	Keepalived Version
	CloudInit  Version
	Systemd    Version

	Archive        string   // the archive's URL; empty if mmdebstrap's default is used, as for Debian
	Upstream       string   // the URL of the archive from which a release gets its updates
	Snapshots      string   // the base URL of snapshots of the archive: 20260131T000000Z/dists/…
	Components     []string // components of the archive
	KeyringPackage string   // contains the archive's keys on another Debian or Ubuntu
	Keyring        string   // the file of that package
	KeyringFrom    string   // the release that has that package if this machine's own release does not; may be empty
	// Kernel is the package of a kernel with drivers for the devices that hypervisors emulate; docs/machines.md lists them.
	// Debian's linux-image-cloud-amd64 does not have all: bookworm's has no AHCI, so that a machine of type q35 does not find the seed in
	// its CD drive, and no release's has e1000 (CONFIG_SATA_AHCI and CONFIG_E1000 in /boot/config-*).
	Kernel string
	// NetworkFile is the name of the file that the release's netplan writes for systemd-networkd. %s stands for the ID of
	// the interface in network-config. A drop-in for the file must have this name.
	NetworkFile string
	// WaitsForNameserver reports whether the release's netplan makes systemd-networkd-wait-online wait until a name server
	// answers (--dns). Without a name server, each boot then takes two minutes and ends as degraded.
	WaitsForNameserver bool
}

const (
	ubuntuKeyring = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
	debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

func ubuntu(r Release) Release {
	r.Distribution, r.Archive, r.Components = "ubuntu", "http://archive.ubuntu.com/ubuntu", []string{"main", "universe"}
	r.KeyringPackage, r.Keyring, r.Kernel = "ubuntu-keyring", ubuntuKeyring, "linux-image-virtual"
	r.Upstream, r.Snapshots = r.Archive, "http://snapshot.ubuntu.com/ubuntu"
	r.KeyringFrom = "trixie"
	r.NetworkFile = "10-netplan-%s.network"
	return r
}

func debian(r Release) Release {
	r.Distribution, r.Components = "debian", []string{"main"}
	r.KeyringPackage, r.Keyring, r.Kernel = "debian-archive-keyring", debianKeyring, "linux-image-amd64"
	r.Upstream, r.Snapshots = "http://deb.debian.org/debian", "http://snapshot.debian.org/archive/debian"
	r.NetworkFile = "10-netplan-%s.network"
	return r
}

// Default is the release of a spec that does not name one.
const Default = "noble"

// All returns the releases: Ubuntu's first, and each distribution's oldest first. The versions are those of the archives in
// autumn 2026.
func All() []Release { return slices.Clone(releases) }

var releases = []Release{
	ubuntu(Release{Name: "jammy", Title: "Ubuntu 22.04", HAProxy: Version{2, 4, 30}, Keepalived: Version{2, 2, 4}, CloudInit: Version{26, 1}, Systemd: Version{249}}),
	ubuntu(Release{Name: "noble", Title: "Ubuntu 24.04", HAProxy: Version{2, 8, 30}, Keepalived: Version{2, 2, 8}, CloudInit: Version{26, 2}, Systemd: Version{255}}),
	ubuntu(Release{Name: "resolute", Title: "Ubuntu 26.04", HAProxy: Version{3, 2, 25}, Keepalived: Version{2, 3, 4}, CloudInit: Version{26, 2}, Systemd: Version{259}, WaitsForNameserver: true}),
	debian(Release{Name: "bookworm", Title: "Debian 12", HAProxy: Version{2, 6, 12}, Keepalived: Version{2, 2, 7}, CloudInit: Version{22, 4, 2}, Systemd: Version{252}}),
	debian(Release{Name: "trixie", Title: "Debian 13", HAProxy: Version{3, 0, 11}, Keepalived: Version{2, 3, 3}, CloudInit: Version{25, 1, 4}, Systemd: Version{257}}),
}

// Since returns the releases whose haproxy is at least a version.
func Since(haproxy Version) []Release {
	var out []Release
	for _, r := range All() {
		if r.HAProxy.AtLeast(haproxy[0], haproxy[1], haproxy[2]) {
			out = append(out, r)
		}
	}
	return out
}

// Names returns the releases' names, in the order of All.
func Names() []string {
	var names []string
	for _, r := range All() {
		names = append(names, r.Name)
	}
	return names
}

// Get returns the release with the given name.
func Get(name string) (Release, error) {
	for _, r := range releases {
		if r.Name == name {
			return r, nil
		}
	}
	return Release{}, fmt.Errorf("cannot find release %q: %s", name, nearest.OneOf(name, Names()))
}
