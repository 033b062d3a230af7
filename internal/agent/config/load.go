package config

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/strictyaml"
)

// Load reads agent.yaml. The error lists all problems.
func Load(path string) (*Config, error) {
	data, err := regular.ReadFile(path, strictyaml.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("cannot read the agent's configuration: %w", err)
	}
	c, problems := Parse(path, data)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("cannot use the agent's configuration:\n%w", err)
	}
	return c, nil
}

// Parse decodes agent.yaml and returns its problems. The configuration can be used if none of them is an error.
func Parse(file string, data []byte) (*Config, diag.Problems) {
	c := &Config{}
	doc := strictyaml.Decode(file, data, c)
	if doc.Unreadable() {
		return c, doc.Problems()
	}
	if message, hint := checkVersion(c.APIVersion); message != "" {
		doc.Problem("apiVersion", message, hint)
		// the keys of another version are not known
		return c, doc.Problems().At("apiVersion")
	}
	c.validate(doc)
	return c, doc.Problems()
}

// checkVersion returns the reason why this program cannot read a file of a version, or nil.
func checkVersion(version string) (message, hint string) {
	switch kind, number, _ := strings.Cut(version, "/v"); {
	case version == APIVersion:
		return "", ""
	case version == "":
		return "must be " + APIVersion, ""
	case kind+"/v" == strings.TrimSuffix(APIVersion, "1") && isNewer(number):
		return fmt.Sprintf("the file has version %s, but this ha-agent supports only %s", strictyaml.Quote(version), APIVersion),
			"install the ha-agent of the bake that wrote it"
	}
	return fmt.Sprintf("must be %s, not %s", APIVersion, strictyaml.Quote(version)), ""
}

func isNewer(number string) bool {
	n, err := strconv.Atoi(number)
	return err == nil && n > 1
}

// validate checks for values without which the agent cannot work.
func (c *Config) validate(doc *strictyaml.Document) {
	c.validateMetrics(doc)
	for _, field := range []struct{ path, value string }{
		{"node", c.Node},
		{"haproxy.config", c.HAProxy.Config},
		{"haproxy.unit", c.HAProxy.Unit},
		{"haproxy.master_socket", c.HAProxy.MasterSocket},
		{"haproxy.check_socket", c.HAProxy.CheckSocket},
		{"keepalived.config", c.Keepalived.Config},
		{"keepalived.unit", c.Keepalived.Unit},
		{"keepalived.notify_fifo", c.Keepalived.NotifyFIFO},
		{"keepalived.track_file", c.Keepalived.TrackFile},
		{"sysctl.file", c.Sysctl.File},
	} {
		isPath := !strings.HasSuffix(field.path, "unit") && field.path != "node"
		switch {
		case field.value == "":
			doc.Problem(field.path, "is missing", "bake writes it")
		case isPath && !strings.HasPrefix(field.value, "/"):
			doc.Problem(field.path, "must be an absolute path", "")
		}
	}
}

// validateMetrics checks that the address can be listened on.
func (c *Config) validateMetrics(doc *strictyaml.Document) {
	if c.Metrics != nil && c.Metrics.Address.Port() == 0 {
		doc.Problem("metrics.address", "must be an address and a port", "bake writes it")
	}
}

// Marshal returns agent.yaml. Equal configurations give equal bytes.
func (c *Config) Marshal() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# What ha-agent must know of this node. Written by bake.\n")
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(c); err != nil {
		return nil, fmt.Errorf("cannot write the agent's configuration: %w", err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("cannot write the agent's configuration: %w", err)
	}
	return b.Bytes(), nil
}
