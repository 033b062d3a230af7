package image

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/recipe"
)

// toyRecipe needs no package manager.
func toyRecipe() recipe.Recipe {
	return recipe.Recipe{
		Agent: "/usr/bin/ha-agent",
		Files: []recipe.File{
			{Path: "/etc/early/conf", Mode: 0o600, Owner: "root", Group: "root", Content: []byte("early"), Early: true},
			{Path: "/etc/late", Mode: 0o640, Owner: "12", Group: "34", Content: []byte("late")},
		},
	}
}

// program is an agent whose verdict is its exit status.
func program(verdict string) install.Source {
	return func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("#!/bin/sh\necho NOT sound\nexit " + verdict + "\n")), nil
	}
}

// Carried out twice, a recipe gives the same, and services may start again.
func TestInstall(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	m := bake(t, o, func(ctx context.Context, m *Machine) error {
		if err := m.Run(ctx, "echo '#!/bin/sh' >/usr/sbin/policy-rc.d", nil); err != nil {
			return err
		}
		for range 2 {
			if err := install.Do(ctx, m, install.Image(toyRecipe(), program("0")), nil); err != nil {
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
		if m.Files[path] == "" {
			t.Errorf("the manifest lacks %s: %v", path, m.Files)
		}
	}
}

// An image that its own agent refuses is no image, and the step's output says why.
func TestInstallRefused(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	_, err := Bake(context.Background(), o, func(ctx context.Context, m *Machine) error {
		err := install.Do(ctx, m, install.Image(toyRecipe(), program("1")), nil)
		if err := m.Run(ctx, "! [ -e /usr/sbin/policy-rc.d ]", nil); err != nil {
			t.Error("services are still kept from starting")
		}
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "cannot verify the image") || !strings.Contains(err.Error(), "NOT sound") {
		t.Errorf("error %v", err)
	}
}

// What sealing does not know of is found by the check that follows it.
func TestSeal(t *testing.T) {
	left := map[string]string{
		"/etc/ssh/ssh_host_rsa_key":            "ssh_host_rsa_key",
		"/var/lib/systemd/random-seed":         "random-seed",
		"/etc/netplan/50-cloud-init.yaml":      "50-cloud-init.yaml",
		"/var/lib/cloud/instance/x":            "/var/lib/cloud/instance",
		"/var/lib/apt/lists/x_dists_InRelease": "InRelease",
		"/var/log/odd name.log":                "/var/log/odd",
		"/root/.bash_history":                  ".bash_history",
	}
	plant := "set -eu\n"
	for path := range left {
		plant += "d='" + path + "'; mkdir -p \"${d%/*}\"; echo x >\"$d\"\n"
	}
	bake(t, toyOptions(t, toyBase(t)), func(ctx context.Context, m *Machine) error {
		if err := m.Run(ctx, plant, nil); err != nil {
			return err
		}
		check := install.Seal()[1:]
		err := install.Do(ctx, m, check, nil)
		for _, want := range left {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the check does not name %s: %v", want, err)
			}
		}
		for range 2 {
			if err := install.Do(ctx, m, install.Seal(), nil); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
}
