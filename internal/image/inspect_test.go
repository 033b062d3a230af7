package image

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// system is a script that creates parts of a real image that the toy system lacks.
const system = `set -eu
mkdir -p /var/lib/dpkg /etc/systemd/system/multi-user.target.wants /usr/lib/sysctl.d /etc/sysctl.d
printf 'Package: haproxy\nStatus: hold ok installed\nVersion: 3.0.11-1\nArchitecture: amd64\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n' >/var/lib/dpkg/status
ln -s /usr/lib/systemd/system/haproxy.service /etc/systemd/system/multi-user.target.wants/haproxy.service
ln -s /dev/null /etc/systemd/system/apt-daily.timer
printf 'net.ipv4.ip_forward=0\nnet/ipv4/conf/eth0.1/rp_filter = 2\n-kernel.x\n' >/usr/lib/sysctl.d/50-a.conf
printf '# a comment\nnet.ipv4.ip_forward = 1\n' >/etc/sysctl.d/60-hapair.conf
printf 'vm.swappiness = 1\n' >/usr/lib/sysctl.d/70-hidden.conf
: >/etc/sysctl.d/70-hidden.conf
printf 'haproxy:x:101:34:,,,:/var/lib/haproxy:/usr/sbin/nologin\n' >>/etc/passwd
printf 'proxies:x:34:\n' >>/etc/group
printf 'root:*:20000:0:99999:7:::\nhaproxy:!:20000::::::\n' >/etc/shadow
chown 101:34 /etc/motd
`

func bakeSystem(t *testing.T, o Options, more string) Manifest {
	t.Helper()
	return bake(t, o, func(ctx context.Context, m *Machine) error {
		if err := put("one\n")(ctx, m); err != nil {
			return err
		}
		return m.Run(ctx, system+more, os.Stderr)
	})
}

// The inspection of a finished image must agree with its manifest, and must not change the file.
func TestInspect(t *testing.T) {
	base := toyBase(t)
	for _, format := range Formats() {
		o := toyOptions(t, base)
		o.Format = format
		want := bakeSystem(t, o, "")
		before, err := os.Stat(o.Output)
		if err != nil {
			t.Fatal(err)
		}
		i, err := Inspect(t.Context(), o.Output, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, i.Manifest); diff != "" {
			t.Errorf("%s: the image differs from its manifest:\n%s", format, diff)
		}
		if diff := cmp.Diff(&want, i.Beside); diff != "" {
			t.Errorf("%s: the manifest beside it:\n%s", format, diff)
		}
		if len(i.Faults) > 0 {
			t.Errorf("%s: faults: %q", format, i.Faults)
		}
		after, err := os.Stat(o.Output)
		if err != nil {
			t.Fatal(err)
		}
		if sum := "sha256:" + sumOf(t, o.Output); sum != want.Image || !after.ModTime().Equal(before.ModTime()) {
			t.Errorf("%s: inspecting changed the image: digest %s, was %s; modified %v, was %v", format, sum, want.Image, after.ModTime(), before.ModTime())
		}
		wantStock(t, want)
	}
}

func wantStock(t *testing.T, m Manifest) {
	t.Helper()
	for _, c := range []struct{ want, got any }{
		{map[string]string{"haproxy": "3.0.11-1"}, m.Packages},
		{map[string]string{"haproxy.service": "enabled", "apt-daily.timer": "masked"}, m.Units},
		{map[string]string{"net.ipv4.ip_forward": "1", "net.ipv4.conf.eth0/1.rp_filter": "2", "kernel.x": "(left alone)"}, m.Sysctls},
		{Account{"101", "proxies", "/var/lib/haproxy", "/usr/sbin/nologin"}, m.Accounts["haproxy"]},
		{"haproxy proxies 0640", m.Files["/etc/motd"].Owner + " " + m.Files["/etc/motd"].Group + " " + m.Files["/etc/motd"].Mode},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Error(diff)
		}
	}
}

// An image without a manifest is described from its files alone.
func TestInspectWithoutManifest(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	bakeSystem(t, o, "")
	if err := os.Remove(ManifestPath(o.Output)); err != nil {
		t.Fatal(err)
	}
	i, err := Inspect(t.Context(), o.Output, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if i.Beside != nil || i.Manifest.Version != "" || i.Manifest.Files["/etc/sysctl.d/60-hapair.conf"].Mode != "0644" {
		t.Errorf("%+v", i.Manifest)
	}
}

// planted changes files of a finished image with a script.
func planted(t *testing.T, image, script string) {
	t.Helper()
	disk, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	o, err := openDisk(t.Context(), disk, false)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-euc", script)
	cmd.Dir = rootDir
	if err := o.run(cmd); err != nil {
		t.Fatal(err)
	}
	if err := o.close(); err != nil {
		t.Fatal(err)
	}
}

// Files that were added to a sealed image must be found, even if the image's own programs hide them.
func TestInspectFindsWhatIsLeft(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	bakeSystem(t, o, "")
	planted(t, o.Output, `
for tool in sh grep find ls; do printf '#!/bin/true\n' >bin/$tool; done
echo 0123 >etc/machine-id
mkdir -p etc/ssh root/.ssh srv/deploy/.ssh var/lib/systemd var/lib/apt/lists home/odd/.ssh var/log/a var/lib/cloud
echo key >etc/ssh/ssh_host_ed25519_key
echo key >srv/deploy/.ssh/authorized_keys
ln -s /nonexistent home/odd/.ssh/authorized_keys2
echo '-----BEGIN OPENSSH PRIVATE KEY-----' >root/.ssh/id
echo x >var/lib/systemd/random-seed
echo x >var/lib/apt/lists/x_InRelease
echo x >var/log/a/syslog
ln -s /run/x var/lib/cloud/instance
echo x >etc/.resolv.conf.systemd-resolved.bak
mkdir -p etc/netplan; echo x >etc/netplan/50-cloud-init.yaml
echo lb1 >etc/hostname
echo deploy:x:1000:1000::/srv/deploy:/bin/sh >>etc/passwd
echo toor:x:0:0::/root:/bin/sh >>etc/passwd
echo 'deploy:$6$salt$hash:20000::::::' >>etc/shadow
echo 'toor::20000::::::' >>etc/shadow
echo two >etc/motd
`)
	i, err := Inspect(t.Context(), o.Output, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	found := strings.Join(i.Faults, "\n")
	for _, want := range []string{
		"/etc/machine-id is not empty", "/etc/ssh/ssh_host_ed25519_key exists", "/srv/deploy/.ssh/authorized_keys exists",
		"/home/odd/.ssh/authorized_keys2 exists", "/root/.ssh/id is a private key", "random-seed exists", "x_InRelease exists",
		"/var/log has logs that are not empty: /var/log/a/syslog", "/var/lib/cloud/instance exists", "systemd-resolved.bak exists",
		"50-cloud-init.yaml exists", "/etc/hostname is the name", "the account deploy (UID 1000) is from", "the account toor is root by another name",
		"the account deploy has a password", "the account toor has an empty password",
	} {
		if !strings.Contains(found, want) {
			t.Errorf("missing fault: %s", want)
		}
	}
	if len(i.Faults) != 16 {
		t.Errorf("%d faults:\n%s", len(i.Faults), found)
	}
	if i.Manifest.Files["/etc/motd"].Digest == i.Beside.Files["/etc/motd"].Digest || i.Manifest.Image == i.Beside.Image {
		t.Error("the changed file has the digest from the manifest")
	}
}

// Links of a hostile image must not lead to files of this machine.
func TestInspectHostile(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	bakeSystem(t, o, "")
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, "-----BEGIN OPENSSH PRIVATE KEY-----\n")
	planted(t, o.Output, `mkdir -p root/.ssh; ln -s `+outside+` root/.ssh/a; ln -sf ../../../../../`+outside+` etc/machine-id; rm etc/shadow; mkfifo etc/shadow root/.ssh/fifo
rm -r var/log; ln -s / var/log; ln -s loop var/lib/dpkg/loop`)
	i, err := Inspect(t.Context(), o.Output, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "/etc/shadow: not a regular file") {
		t.Errorf("a pipe in the place of /etc/shadow: %v", err)
	}
	for _, fault := range i.Faults {
		if strings.Contains(fault, ".ssh") || strings.Contains(fault, "machine-id") {
			t.Errorf("the fault is about this machine's file: %s", fault)
		}
	}
}

// Manifests written by older versions must be accepted.
func TestOldManifest(t *testing.T) {
	m, err := ParseManifest([]byte(`{"hapair": "0.1.0", "image": "sha256:00", "release": "noble", "format": "raw", "size": 1, "base": {"source": "bootstrap", "digest": "sha256:01"},
		"packages": {"haproxy": "1"}, "files": {"/etc/a": "sha256:02"}}`))
	if err != nil || m.Files["/etc/a"] != (File{Digest: "sha256:02"}) {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{"", "{}", `{"files": {"/a": 1}}`, `[]`} {
		if _, err := ParseManifest([]byte(bad)); err == nil {
			t.Errorf("%q was accepted as a manifest", bad)
		}
	}
}
