package provisioner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const cluster = `apiVersion: hapair/v1
cluster: c
nodes:
  - {name: a, address: 10.0.0.1/24, interface: eth0}
  - {name: b, address: 10.0.0.2/24, interface: eth0}
vips:
  - {name: v, address: 10.0.0.9/24}
services:
  - {name: s, vip: v, port: 80, servers: [{name: x, address: 10.0.0.3}]}
`

// at writes a spec and an agent, and returns a provisioner whose plugin is in the agent's directory.
func at(t *testing.T, spec string) (p *Provisioner, dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range map[string]string{"cluster.yaml": spec, "ha-agent": "a program"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return New(func() (string, error) { return filepath.Join(dir, "plugin"), nil }), dir
}

func TestPrepare(t *testing.T) {
	p, dir := at(t, cluster)
	if err := p.Prepare(map[string]any{"spec": filepath.Join(dir, "cluster.yaml"), "release": "trixie"}); err != nil {
		t.Fatal(err)
	}
	if p.spec.Cluster != "c" || p.release.Name != "trixie" || p.config.Agent != filepath.Join(dir, "ha-agent") {
		t.Errorf("got cluster %q, release %q, agent %q", p.spec.Cluster, p.release.Name, p.config.Agent)
	}
}

func TestPrepareReportsAllProblems(t *testing.T) {
	p, dir := at(t, strings.NewReplacer("port: 80", "port: 0", "vip: v", "vip: w").Replace(cluster))
	spec := filepath.Join(dir, "cluster.yaml")
	err := p.Prepare(map[string]any{"spec": spec, "agent": filepath.Join(dir, "none")})
	if err == nil {
		t.Fatal("a bad spec was accepted")
	}
	for _, want := range []string{
		spec + ":9:20: error: services[0].vip:",
		spec + ":9:29: error: services[0].port:",
		"cannot use " + filepath.Join(dir, "none") + " as ha-agent: stat " + filepath.Join(dir, "none") + ": no such file or directory; build it with: go build ./cmd/ha-agent",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not contain %q:\n%v", want, err)
		}
	}
}

func TestPrepareWithoutAnything(t *testing.T) {
	p := New(func() (string, error) { return filepath.Join(t.TempDir(), "plugin"), nil })
	t.Setenv("PATH", t.TempDir())
	err := p.Prepare(map[string]any{})
	if err == nil {
		t.Fatal("an empty configuration was accepted")
	}
	for _, want := range []string{"spec is missing", "cannot find ha-agent"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not contain %q:\n%v", want, err)
		}
	}
}

func TestUnknownSetting(t *testing.T) {
	p, dir := at(t, cluster)
	err := p.Prepare(map[string]any{"spec": filepath.Join(dir, "cluster.yaml"), "releese": "noble"})
	if err == nil || !strings.Contains(err.Error(), "releese") {
		t.Errorf("got %v", err)
	}
}
