package schema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/schema"
	"github.com/hapair/hapair/internal/spec"
)

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := schema.Generate()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("cluster.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("cluster.schema.json")
	if err != nil {
		t.Fatalf("cannot compile the schema: %v\n%s", err, data)
	}
	return s
}

// document decodes YAML into the values that a validator of JSON Schema gets from an editor.
func document(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestExamplesSatisfyTheSchema(t *testing.T) {
	s := compile(t)
	for _, name := range examples.Names() {
		data, _ := examples.Get(name)
		if err := s.Validate(document(t, string(data))); err != nil {
			t.Errorf("the schema refuses %s: %v", name, err)
		}
	}
	for _, file := range []string{"everything", "services"} {
		data, err := os.ReadFile("../recipe/testdata/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(document(t, string(data))); err != nil {
			t.Errorf("the schema refuses %s: %v", file, err)
		}
	}
}

const good = `apiVersion: hapair/v1
cluster: test
nodes:
  - {name: lb1, address: 192.0.2.1/24, interface: eth0}
  - {name: lb2, address: 192.0.2.2/24, interface: eth0}
vips: [{name: public, address: 192.0.2.10/24}]
stats: {user: admin, password: {env: PW}}
services:
  - {name: web, vip: public, port: 80, mode: http, servers: [{name: a, address: 198.51.100.1}]}
`

// The spec must refuse whatever the schema refuses.
func TestSchemaRefuses(t *testing.T) {
	s := compile(t)
	if err := s.Validate(document(t, good)); err != nil {
		t.Fatalf("the schema refuses the spec before the changes: %v", err)
	}
	for name, c := range map[string]struct{ old, new string }{
		"unknown key":      {"cluster: test", "cluster: test\ncolour: blue"},
		"unknown in entry": {"port: 80", "port: 80, prot: 81"},
		"missing":          {"cluster: test\n", ""},
		"missing in entry": {"vip: public, ", ""},
		"version":          {"hapair/v1", "hapair/v2"},
		"type":             {"port: 80", `port: "80"`},
		"range":            {"port: 80", "port: 65536"},
		"word":             {"mode: http", "mode: https"},
		"one node":         {"  - {name: lb2, address: 192.0.2.2/24, interface: eth0}\n", ""},
		"literal secret":   {"{env: PW}", "hunter2"},
		"no password":      {", password: {env: PW}", ""},
		"nobody may look":  {"user: admin, password: {env: PW}", "port: 1936"},
		"two secrets":      {"{env: PW}", "{env: PW, file: pw}"},
		"address":          {"192.0.2.10/24", "www.example.org"},
		"three addresses":  {"address: 192.0.2.1/24", "address: [192.0.2.1, 192.0.2.3, 192.0.2.4]"},
		"heavy script":     {"address: 192.0.2.10/24", "address: 192.0.2.10/24, track_scripts: [{name: a, command: /bin/a, weight: 300}]"},
		"no destination":   {"address: 192.0.2.10/24", "address: 192.0.2.10/24, routes: [{via: 192.0.2.3}]"},
		"no command":       {"address: 192.0.2.10/24", "address: 192.0.2.10/24, on_change: {user: nobody}"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, c.old, c.new, 1)
			if bad == good {
				t.Fatalf("%q is not in the spec", c.old)
			}
			if err := s.Validate(document(t, bad)); err == nil {
				t.Error("the schema accepts the spec")
			}
			if _, problems := spec.Parse("spec.yaml", []byte(bad), spec.Sources{}); !problems.HasErrors() {
				t.Error("spec.Parse accepts the spec")
			}
		})
	}
}

// Editors show the description of a key, so each key must have one.
func TestEveryKeyIsDescribed(t *testing.T) {
	data, err := schema.Generate()
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	if n := describe(t, "", s); n < 50 {
		t.Errorf("the schema has only %d keys", n)
	}
}

func describe(t *testing.T, path string, v any) (keys int) {
	switch v := v.(type) {
	case map[string]any:
		properties, _ := v["properties"].(map[string]any)
		for key, p := range properties {
			if m, _ := p.(map[string]any); m["description"] == nil && !strings.HasSuffix(path, ".password") {
				t.Errorf("%s.%s is not described", path, key)
			}
			keys += 1 + describe(t, path+"."+key, p)
		}
		for key, child := range v {
			if key != "properties" {
				keys += describe(t, path, child)
			}
		}
	case []any:
		for _, child := range v {
			keys += describe(t, path, child)
		}
	}
	return keys
}
