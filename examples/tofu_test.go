package examples_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/test/cluster"
)

// provider is a provider of OpenTofu that a module in terraform/ uses, with what a mock of
// the provider must return, and the values of the module's variables for controllers.yaml, other than the image and the seeds.
type provider struct{ source, module, version, mock, variables string }

var providers = map[string]provider{
	"libvirt": {"dmacvicar/libvirt", "github.com/dmacvicar/terraform-provider-libvirt", "v0.8.3", "", `
  nodes = {
    controller_1 = [{ network = "management", mac = "52:54:00:38:65:03" }, { network = "public", mac = "52:54:00:38:65:04" }]
    controller_2 = [{ network = "management", mac = "52:54:00:38:66:03" }, { network = "public", mac = "52:54:00:38:66:04" }]
  }`},
	"proxmox": {"bpg/proxmox", "github.com/bpg/terraform-provider-proxmox", "v0.80.0",
		`mock_resource "proxmox_virtual_environment_file" { defaults = { id = "local:iso/file.img" } }`, `
  nodes = {
    controller_1 = { host = "pve1", cards = [{ bridge = "vmbr0", mac = "52:54:00:38:65:03" }, { bridge = "vmbr1", mac = "52:54:00:38:65:04" }] }
    controller_2 = { host = "pve2", cards = [{ bridge = "vmbr0", mac = "52:54:00:38:66:03" }, { bridge = "vmbr1", mac = "52:54:00:38:66:04" }] }
  }`},
	"openstack": {"terraform-provider-openstack/openstack", "github.com/terraform-provider-openstack/terraform-provider-openstack", "v1.54.1",
		`mock_data "openstack_networking_network_v2" { defaults = { subnets = ["a-subnet"] } }`, `
  flavor = "m1.small"
  vips   = { public = ["192.168.1.32"] }
  ports  = [5000]
  nodes = {
    controller_1 = { management = { address = "192.168.56.101" }, public = { address = "192.168.1.101", mac = "52:54:00:38:65:04" } }
    controller_2 = { management = { address = "192.168.56.102" }, public = { address = "192.168.1.102" } }
  }`},
}

// TestTofu validates each module with OpenTofu and the real provider's schema, and applies it with bake's output to a mock of
// the provider. Building OpenTofu and the providers takes long, so it is in the tier of the tests that take hours.
func TestTofu(t *testing.T) {
	needs.Emulation(t)
	tofu := gotool.Path(t, "github.com/opentofu/opentofu", "v1.8.8", "./cmd/tofu")
	spec, err := os.ReadFile("controllers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b := cluster.Build(t, spec)
	seeds, image := filepath.Join(b.Dir, "seeds"), filepath.Join(b.Dir, "image.qcow2")
	b.Run(t, "cloud-init", b.Spec, "-o", seeds)
	if out, err := exec.CommandContext(t.Context(), "qemu-img", "create", "-q", "-f", "qcow2", image, "1G").CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v\n%s", err, out)
	}
	for name, p := range providers {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p.write(t, name, dir, seeds, image)
			for _, args := range [][]string{{"validate", "-no-color"}, {"test", "-no-color"}} {
				cmd := exec.CommandContext(t.Context(), tofu, args...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "tofurc"), "CHECKPOINT_DISABLE=1")
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Errorf("tofu %s: %v\n%s", args[0], err, out)
				} else if args[0] == "test" && !strings.Contains(string(out), "1 passed, 0 failed") {
					t.Errorf("tofu test did not run the module:\n%s", out)
				}
			}
		})
	}
}

// write copies a module to a directory, adds a test with a mock of the provider, and a configuration of OpenTofu that takes the
// provider from the cache instead of a registry.
func (p provider) write(t *testing.T, name, dir, seeds, image string) {
	t.Helper()
	module, err := os.ReadFile(filepath.Join("terraform", name, "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	binary := gotool.Path(t, p.module, p.version, ".")
	for file, content := range map[string]string{
		"main.tf": string(module),
		"main.tftest.hcl": fmt.Sprintf("mock_provider %q {\n%s\n}\nvariables {\n  image = %q\n  seeds = %q%s\n}\nrun \"apply\" {}\n",
			name, p.mock, image, seeds, p.variables),
		"tofurc": fmt.Sprintf("provider_installation {\n  dev_overrides {\n    %q = %q\n  }\n}\n", p.source, filepath.Dir(binary)),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
