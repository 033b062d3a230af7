package image

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/testing/gotool"
)

// toyRecipe returns a recipe that needs no package manager.
func toyRecipe() recipe.Recipe {
	return recipe.Recipe{
		Agent: "/usr/bin/ha-agent",
		Files: []recipe.File{
			{Path: "/etc/early/conf", Mode: 0o600, Owner: "root", Group: "root", Content: []byte("early"), Early: true},
			{Path: "/etc/late", Mode: 0o640, Owner: "12", Group: "34", Content: []byte("late")},
		},
	}
}

// program builds an agent that exits with the given status.
func program(t *testing.T, status string) install.Source {
	t.Helper()
	file := filepath.Join(t.TempDir(), "agent")
	gotool.Build(t, file, "-ldflags", "-X main.status="+status, "./testdata/agent")
	return install.FileSource(file)
}

// Carrying out a recipe twice must give the same result, and services may start afterwards.
func TestInstall(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	agent := program(t, "0")
	m := bake(t, o, func(ctx context.Context, m *Machine) error {
		if err := m.Run(ctx, "echo '#!/bin/sh' >/usr/sbin/policy-rc.d", nil); err != nil {
			return err
		}
		for range 2 {
			if err := install.Do(ctx, m, install.Image(toyRecipe(), agent), nil); err != nil {
				return err
			}
		}
		var out bytes.Buffer
		if err := m.Run(ctx, "stat -c '%a %u %g' /etc/early/conf /etc/late; cat /usr/sbin/policy-rc.d", &out); err != nil {
			return err
		}
		if want := "600 0 0\n640 12 34\n#!/bin/sh\n"; out.String() != want {
			t.Errorf("got\n%swant\n%s", out.String(), want)
		}
		return nil
	})
	for _, path := range []string{"/etc/early/conf", "/etc/late", "/usr/bin/ha-agent"} {
		if m.Files[path].Digest == "" {
			t.Errorf("the manifest lacks %s: %v", path, m.Files)
		}
	}
}

// If the image's agent fails its verification, the bake must fail, and the error must contain the output.
func TestInstallRefused(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	_, err := Bake(context.Background(), o, func(ctx context.Context, m *Machine) error {
		err := install.Do(ctx, m, install.Image(toyRecipe(), program(t, "1")), nil)
		if err := m.Run(ctx, "! [ -e /usr/sbin/policy-rc.d ]", nil); err != nil {
			t.Error("services are still kept from starting")
		}
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "cannot verify the image") || !strings.Contains(err.Error(), "NOT sound") {
		t.Errorf("error %v", err)
	}
}

// Whatever sealing does not remove must be found by the check that follows.
func TestSeal(t *testing.T) {
	left := map[string]string{
		"/etc/ssh/ssh_host_rsa_key":                       "ssh_host_rsa_key",
		"/var/lib/systemd/random-seed":                    "random-seed",
		"/etc/netplan/50-cloud-init.yaml":                 "50-cloud-init.yaml",
		"/var/lib/cloud/instance/x":                       "/var/lib/cloud/instance",
		"/var/lib/apt/lists/x_dists_InRelease":            "InRelease",
		"/var/log/odd name.log":                           "/var/log/odd",
		"/var/log/journal/0123/system.journal":            "system.journal",
		"/root/.bash_history":                             ".bash_history",
		"/root/.python_history":                           ".python_history",
		"/root/.ssh/authorized_keys":                      "/root/.ssh/authorized_keys",
		"/root/.ssh/known_hosts":                          "known_hosts",
		"/home/builder/.ssh/authorized_keys2":             "/home/builder/.ssh/authorized_keys2",
		"/home/builder/.wget-hsts":                        ".wget-hsts",
		"/srv/deploy/.ssh/authorized_keys":                "/srv/deploy/.ssh/authorized_keys",
		"/etc/.resolv.conf.systemd-resolved.bak":          ".resolv.conf.systemd-resolved.bak",
		"/etc/hostname":                                   "/etc/hostname",
		"/etc/nvme/hostid":                                "/etc/nvme/hostid",
		"/etc/systemd/network/10-cloud-init-eth0.network": "10-cloud-init-eth0.network",
		"/etc/udev/rules.d/70-persistent-net.rules":       "70-persistent-net.rules",
		"/etc/cloud/cloud.cfg.d/99-installer.cfg":         "99-installer.cfg",
		"/var/lib/dhcp/dhclient.eth0.leases":              "dhclient.eth0.leases",
	}
	plant := "set -eu\n"
	for path := range left {
		plant += "d='" + path + "'; mkdir -p \"${d%/*}\"; echo x >\"$d\"\n"
	}
	// An account can have any home directory.
	plant += "echo 'deploy:x:1000:1000::/srv/deploy:/bin/sh' >>/etc/passwd\n"
	plant += "printf '127.0.0.1 localhost\\n127.0.1.1 builder\\n10.0.0.1 kept\\n' >/etc/hosts\n"
	plant += "chmod 2755 /var/log/journal\n"
	bake(t, toyOptions(t, toyBase(t)), func(ctx context.Context, m *Machine) error {
		if err := m.Run(ctx, plant, nil); err != nil {
			return err
		}
		check := install.Seal()[1:]
		var said strings.Builder // the error contains only the last lines
		if err := install.Do(ctx, m, check, func(p install.Progress) { fmt.Fprintln(&said, p.Line) }); err == nil {
			t.Error("the check found nothing")
		}
		for _, want := range left {
			if !strings.Contains(said.String(), want) {
				t.Errorf("the check did not report %s:\n%s", want, said.String())
			}
		}
		sameFindings(t, m, said.String())
		for range 2 {
			if err := install.Do(ctx, m, install.Seal(), nil); err != nil {
				t.Error(err)
			}
		}
		var out bytes.Buffer
		const sealed = "cat /etc/hosts /etc/hostname; stat -c %a /var/log/journal; find /var/log/journal -mindepth 1"
		if err := m.Run(ctx, sealed, &out); err != nil {
			return err
		}
		if want := "127.0.0.1 localhost\n10.0.0.1 kept\nlocalhost\n2755\n"; out.String() != want {
			t.Errorf("sealed: got\n%swant\n%s", out.String(), want)
		}
		return nil
	})
}

// sameFindings compares the output of the check script, which ran in the image, with the result of Left.
func sameFindings(t *testing.T, m *Machine, said string) {
	t.Helper()
	found, err := install.Left(tree{m.opened.root})
	if err != nil {
		t.Fatal(err)
	}
	var lists [2][]string
	for i, lines := range [][]string{strings.Split(said, "\n"), found} {
		for _, line := range lines {
			// The script and Left may print logs on one line or on several.
			if line != "" && !strings.Contains(line, "/var/log") {
				lists[i] = append(lists[i], line)
			}
		}
		slices.Sort(lists[i])
	}
	if diff := cmp.Diff(lists[0], lists[1]); diff != "" {
		t.Errorf("findings of the script (-) and of Left (+):\n%s", diff)
	}
	if !strings.Contains(strings.Join(found, "\n"), "/var/log/journal/0123/system.journal /var/log/odd name.log") {
		t.Errorf("Left did not find logs: %q", found)
	}
}

// Sealing does not remove a private key, but every node would have it, so the check must fail.
func TestSealRefusesAPrivateKey(t *testing.T) {
	_, err := Bake(t.Context(), toyOptions(t, toyBase(t)), func(ctx context.Context, m *Machine) error {
		return m.Run(ctx, "mkdir -p /home/a/.ssh; echo '-----BEGIN OPENSSH PRIVATE KEY-----' >/home/a/.ssh/id_ed25519", nil)
	})
	if err == nil || !strings.Contains(err.Error(), "/home/a/.ssh/id_ed25519 is a private key") {
		t.Errorf("error %v", err)
	}
}
