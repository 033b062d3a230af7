// Package release knows what each Ubuntu and Debian release ships and can do. Everything that differs between releases
// is data here, and nowhere else.
package release

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is the version of a program: major, minor, patch.
type Version [3]int

// ParseVersion reads the first numbers of a version as programs and packages print it: 2.6.12-1+deb12u2, 26.1.
func ParseVersion(s string) (Version, error) {
	var v Version
	for i, part := range strings.SplitN(s, ".", 3) {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil {
			return v, fmt.Errorf("cannot read the version %q: it does not begin with numbers, as in 2.8.16", s)
		}
		v[i] = n
	}
	return v, nil
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// AtLeast tells whether v is not older than major.minor.patch.
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
	Name         string // as apt's sources name it: noble
	Title        string // Ubuntu 24.04
	Distribution string // ubuntu or debian

	HAProxy    Version
	Keepalived Version
	CloudInit  Version
	Systemd    Version

	Archive        string   // the archive's address; empty where it is mmdebstrap's own default, as for Debian
	Upstream       string   // the address of the archive that a release gets its updates from
	Snapshots      string   // the address below which the archive lies as it was at some time: 20260131T000000Z/dists/…
	Components     []string // of the archive
	KeyringPackage string   // holds the archive's keys on a foreign Debian or Ubuntu
	Keyring        string   // the file of that package
	KeyringFrom    string   // the release that has that package where this machine's own has not; may be empty
	Kernel         string   // the package of a kernel for virtual machines
	// NetworkFile is the name of systemd-networkd's file for an interface that the release's netplan writes, with %s for
	// the ID that the interface has in network-config. A drop-in for it must bear this name.
	NetworkFile string
	// WaitsForNameserver reports whether the release's netplan has systemd-networkd-wait-online wait until a nameserver
	// answers (--dns): without one, each boot takes two minutes and ends as degraded.
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
	r.KeyringPackage, r.Keyring, r.Kernel = "debian-archive-keyring", debianKeyring, "linux-image-cloud-amd64"
	r.Upstream, r.Snapshots = "http://deb.debian.org/debian", "http://snapshot.debian.org/archive/debian"
	r.NetworkFile = "10-netplan-%s.network"
	return r
}

// Default is the release of a spec that names none.
const Default = "noble"

// All lists the releases, Ubuntu's first, each distribution's oldest first. The versions are those of the archives in
// autumn 2026.
func All() []Release {
	return []Release{
		ubuntu(Release{Name: "jammy", Title: "Ubuntu 22.04", HAProxy: Version{2, 4, 30}, Keepalived: Version{2, 2, 4}, CloudInit: Version{26, 1}, Systemd: Version{249}}),
		ubuntu(Release{Name: "noble", Title: "Ubuntu 24.04", HAProxy: Version{2, 8, 30}, Keepalived: Version{2, 2, 8}, CloudInit: Version{26, 2}, Systemd: Version{255}}),
		ubuntu(Release{Name: "resolute", Title: "Ubuntu 26.04", HAProxy: Version{3, 2, 25}, Keepalived: Version{2, 3, 4}, CloudInit: Version{26, 2}, Systemd: Version{259}, WaitsForNameserver: true}),
		debian(Release{Name: "bookworm", Title: "Debian 12", HAProxy: Version{2, 6, 12}, Keepalived: Version{2, 2, 7}, CloudInit: Version{22, 4, 2}, Systemd: Version{252}}),
		debian(Release{Name: "trixie", Title: "Debian 13", HAProxy: Version{3, 0, 11}, Keepalived: Version{2, 3, 3}, CloudInit: Version{25, 1, 4}, Systemd: Version{257}}),
	}
}

// Since lists the releases whose haproxy is not older than a version.
func Since(haproxy Version) []Release {
	var out []Release
	for _, r := range All() {
		if r.HAProxy.AtLeast(haproxy[0], haproxy[1], haproxy[2]) {
			out = append(out, r)
		}
	}
	return out
}

// Names lists the releases' names, in the order of All.
func Names() []string {
	var names []string
	for _, r := range All() {
		names = append(names, r.Name)
	}
	return names
}

// Get finds a release by its name.
func Get(name string) (Release, error) {
	for _, r := range All() {
		if r.Name == name {
			return r, nil
		}
	}
	return Release{}, fmt.Errorf("cannot find release %q: known are %s", name, strings.Join(Names(), ", "))
}
