package packer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/testing/packertest"
	"github.com/hapair/hapair/packer/template"
)

// TestPacker runs a real Packer with the plugin, and with the builds that bake writes.
func TestPacker(t *testing.T) {
	w := newWorld(t)
	t.Run("plugin-check", w.pluginCheck)
	t.Run("validate", w.validate)
	t.Run("bad spec", w.badSpec)
	t.Run("data source", w.dataSource)
	t.Run("chroot", w.chroot)
	t.Run("null", w.null)
}

// world has Packer with the plugin, and the commands for its tests.
type world struct {
	env                 []string
	plugin, bake, agent string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		plugin: packertest.Binary(t, "packer-plugin-hapair"),
		bake:   packertest.Binary(t, "bake"),
		agent:  packertest.Binary(t, "ha-agent"),
	}
	w.env = packertest.Env(t)
	packertest.Install(t, w.env, w.plugin, "github.com/hapair/hapair")
	return w
}

// cluster copies the example to a new folder, and returns the path of the spec.
func cluster(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	copyFile(t, "../examples/controllers.yaml", filepath.Join(dir, "controllers.yaml"))
	secrets := filepath.Join(dir, "secrets")
	if err := os.Mkdir(secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secrets, "stats"), []byte("a password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "controllers.yaml")
}

// write runs bake packer to write a build beside the spec, and returns its folder.
func (w *world) write(t *testing.T, spec, builder string, args ...string) string {
	t.Helper()
	dir := filepath.Join(filepath.Dir(spec), builder)
	args = append([]string{"packer", spec, "-o", dir, "--builder", builder, "--agent", w.agent}, args...)
	if out, err := exec.CommandContext(t.Context(), w.bake, args...).CombinedOutput(); err != nil {
		t.Fatalf("bake %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return dir
}

// packer runs Packer for at most half an hour, because under emulation a build takes minutes.
func (w *world) packer(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	return packertest.Run(ctx, t, w.env, dir, args...)
}

func (w *world) must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := w.packer(t, dir, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

func (w *world) pluginCheck(t *testing.T) {
	// plugin-check examines the name that it is given, so it must run in the folder of the binary.
	sdc, err := exec.CommandContext(t.Context(), "go", "tool", "-n", "packer-sdc").Output()
	if err != nil {
		t.Fatal(err)
	}
	check := exec.CommandContext(t.Context(), strings.TrimSpace(string(sdc)), "plugin-check", filepath.Base(w.plugin))
	check.Dir = filepath.Dir(w.plugin)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), w.plugin, "describe").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		APIVersion                          string `json:"api_version"`
		Builders, Provisioners, Datasources []string
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	const itself = "-packer-default-plugin-name-"
	if got.APIVersion != "x5.0" || !cmp.Equal(got.Builders, []string{"chroot"}) ||
		!cmp.Equal(got.Provisioners, []string{itself}) || !cmp.Equal(got.Datasources, []string{itself}) {
		t.Errorf("got %+v", got)
	}
}

// validate checks that Packer accepts the builds that bake writes, for each builder whose plugin is installed.
func (w *world) validate(t *testing.T) {
	private, _, err := template.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	writeFile(t, key, string(private))
	for builder, args := range map[string][]string{
		"hapair-chroot": {},
		"null":          {"-var", "ssh_host=192.0.2.1", "-var", "ssh_private_key_file=" + key},
		"qemu":          {"-syntax-only"},
		"amazon-ebs":    {"-syntax-only"},
		"openstack":     {"-syntax-only"},
	} {
		t.Run(builder, func(t *testing.T) {
			for _, release := range []string{"noble", "trixie"} {
				dir := w.write(t, cluster(t), builder, "--release", release)
				w.must(t, dir, append(append([]string{"validate"}, args...), ".")...)
				// The builds must have the format of packer fmt.
				w.must(t, dir, "fmt", "-check", ".")
				// The paths must also work from another folder.
				w.must(t, t.TempDir(), append(append([]string{"validate"}, args...), dir)...)
			}
		})
	}
}

// badSpec checks that Packer reports all problems of a spec, with positions, before a build begins.
func (w *world) badSpec(t *testing.T) {
	spec := cluster(t)
	dir := w.write(t, spec, "hapair-chroot")
	bad := strings.NewReplacer("mode: http", "mode: htp", "vip: public", "vip: pubic").Replace(read(t, spec))
	writeFile(t, spec, bad)
	out, err := w.packer(t, dir, "validate", ".")
	if err == nil {
		t.Fatal("a bad spec was accepted")
	}
	// Packer wraps long lines.
	flat := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{place(bad, "htp") + ": error: services[0].mode:", place(bad, "pubic") + ": error: services[0].vip:"} {
		if !strings.Contains(flat, "controllers.yaml:"+want) {
			t.Errorf("the output does not contain %q:\n%s", want, out)
		}
	}
}

// place returns the line and column of word in text, both from 1.
func place(text, word string) string {
	before, _, _ := strings.Cut(text, word)
	lines := strings.Split(before, "\n")
	return fmt.Sprintf("%d:%d", len(lines), len(lines[len(lines)-1])+1)
}

// dataSource checks that a template gets the same data as bake writes.
func (w *world) dataSource(t *testing.T) {
	spec := cluster(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "seed.pkr.hcl"), `
data "hapair" "nodes" {
  spec = "`+spec+`"
}
source "file" "user_data" {
  content = data.hapair.nodes.user_data["controller_2"]
  target  = "${path.root}/user-data"
}
source "file" "network_config" {
  content = data.hapair.nodes.network_config["controller_2"]
  target  = "${path.root}/network-config"
}
build {
  sources = ["source.file.user_data", "source.file.network_config"]
}
`)
	w.must(t, dir, "build", ".")
	seeds := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), w.bake, "cloud-init", spec, "-o", seeds).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"user-data", "network-config"} {
		if diff := cmp.Diff(read(t, filepath.Join(seeds, "controller_2", name)), read(t, filepath.Join(dir, name))); diff != "" {
			t.Errorf("%s (-bake +packer):\n%s", name, diff)
		}
	}
}
