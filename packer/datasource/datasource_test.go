package datasource

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
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

func write(t *testing.T, spec string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(path, []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func execute(t *testing.T, settings map[string]any) map[string]cty.Value {
	t.Helper()
	d := New()
	if err := d.Configure(settings); err != nil {
		t.Fatal(err)
	}
	v, err := d.Execute()
	if err != nil {
		t.Fatal(err)
	}
	return v.AsValueMap()
}

func TestGolden(t *testing.T) {
	out := execute(t, map[string]any{"spec": write(t, cluster)})
	userData := out["user_data"].AsValueMap()
	if len(userData) != 2 {
		t.Fatalf("got user-data of %d nodes", len(userData))
	}
	for _, node := range []string{"a", "b"} {
		text := userData[node].AsString()
		if !strings.HasPrefix(text, "#cloud-config\n") || strings.Contains(text, "package_update") || !strings.Contains(text, "ha-agent") {
			t.Errorf("user-data of %s:\n%s", node, text)
		}
		if meta := out["meta_data"].AsValueMap()[node].AsString(); !strings.Contains(meta, "local-hostname: "+node) {
			t.Errorf("meta-data of %s:\n%s", node, meta)
		}
		if network := out["network_config"].AsValueMap()[node].AsString(); !strings.Contains(network, "eth0") {
			t.Errorf("network-config of %s:\n%s", node, network)
		}
	}
}

func TestStockOfOneNode(t *testing.T) {
	digest := strings.Repeat("0a", 32)
	out := execute(t, map[string]any{
		"spec": write(t, cluster), "node": "b", "image": "stock", "cloud": "ec2",
		"agent_url": "https://example.org/ha-agent", "agent_sha256": digest,
	})
	if nodes := out["nodes"].AsValueSlice(); len(nodes) != 1 || nodes[0].AsString() != "b" {
		t.Errorf("got nodes %v", nodes)
	}
	if packed := out["user_data_base64"].AsValueMap()["b"].AsString(); len(packed) == 0 || len(packed) > 16<<10*4/3 {
		t.Errorf("got %d characters of user-data", len(packed))
	}
}

func TestConfigureReportsAllProblems(t *testing.T) {
	err := New().Configure(map[string]any{
		"spec":    write(t, strings.Replace(cluster, "port: 80", "port: 0", 1)),
		"release": "buster", "image": "silver", "cloud": "nimbus",
	})
	if err == nil {
		t.Fatal("a bad configuration was accepted")
	}
	for _, want := range []string{"cluster.yaml:9:29: error: services[0].port:", `"buster"`, `"silver"`, `"nimbus"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not contain %s:\n%v", want, err)
		}
	}
}

func TestConfigure(t *testing.T) {
	for name, c := range map[string]struct {
		settings map[string]any
		want     string
	}{
		"no spec":        {map[string]any{}, "spec is missing"},
		"no such node":   {map[string]any{"node": "z"}, `cannot find node "z": the spec has a, b`},
		"no agent":       {map[string]any{"image": "stock"}, "agent_url and agent_sha256 are missing"},
		"needless agent": {map[string]any{"agent_url": "https://example.org/x"}, "it already contains ha-agent"},
		"a bad URL": {
			map[string]any{"image": "stock", "agent_url": "ftp://example.org", "agent_sha256": strings.Repeat("0a", 32)},
			`cannot use agent_url "ftp://example.org"`,
		},
		"a bad digest": {
			map[string]any{"image": "stock", "agent_url": "https://example.org", "agent_sha256": "beef"},
			`cannot use agent_sha256 "beef"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "no spec" {
				c.settings["spec"] = write(t, cluster)
			}
			err := New().Configure(c.settings)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
