// Package datasource implements Packer's data source "hapair", which provides the nodes' user-data to builders and
// templates.
package datasource

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/packer-plugin-sdk/hcl2helper"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/zclconf/go-cty/cty"

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// Datasource generates the nodes' seeds.
type Datasource struct {
	config  Config
	spec    *spec.Spec
	release release.Release
	options cloudinit.Options
}

// New returns a data source.
func New() *Datasource { return &Datasource{} }

// ConfigSpec returns the HCL schema of the data block.
func (d *Datasource) ConfigSpec() hcldec.ObjectSpec { return d.config.FlatMapstructure().HCL2Spec() }

// OutputSpec returns the HCL schema of the result.
func (d *Datasource) OutputSpec() hcldec.ObjectSpec {
	return (&DatasourceOutput{}).FlatMapstructure().HCL2Spec()
}

// Configure validates the configuration and the spec, and reports all problems.
func (d *Datasource) Configure(raws ...any) error {
	err := config.Decode(&d.config, &config.DecodeOpts{
		PluginType:         "hapair",
		Interpolate:        true,
		InterpolateContext: &d.config.ctx,
	}, raws...)
	if err != nil {
		return err
	}
	var errs *packersdk.MultiError
	for _, check := range []func() error{d.checkSpec, d.checkNode, d.checkRelease, d.checkImage, d.checkCloud, d.checkAgent} {
		if err := check(); err != nil {
			errs = packersdk.MultiErrorAppend(errs, err)
		}
	}
	if errs != nil && len(errs.Errors) > 0 {
		return errs
	}
	return nil
}

func (d *Datasource) checkSpec() error {
	if d.config.Spec == "" {
		return errors.New(`spec is missing: set it to the path of the spec, as in spec = "${path.root}/cluster.yaml"`)
	}
	s, problems := spec.Load(d.config.Spec)
	if problems.HasErrors() {
		var b strings.Builder
		problems.Print(&b)
		return errors.New(strings.TrimSuffix(b.String(), "\n"))
	}
	d.spec = s
	return nil
}

func (d *Datasource) checkNode() error {
	if d.spec == nil || d.config.Node == "" {
		return nil
	}
	var names []string
	for _, n := range d.spec.Nodes {
		if n.Name == d.config.Node {
			return nil
		}
		names = append(names, n.Name)
	}
	return fmt.Errorf("cannot find node %q: the spec has %s", d.config.Node, strings.Join(names, ", "))
}

func (d *Datasource) checkRelease() (err error) {
	name := d.config.Release
	if name == "" {
		if d.spec == nil {
			return nil
		}
		name = d.spec.Image.Release
	}
	if d.release, err = release.Get(name); err != nil || d.spec == nil {
		return err
	}
	return d.spec.CheckFor(d.release).Err()
}

func (d *Datasource) checkImage() (err error) {
	name := d.config.Image
	if name == "" {
		name = string(cloudinit.Golden)
	}
	d.options.Image, err = cloudinit.ParseImage(name)
	return err
}

func (d *Datasource) checkCloud() (err error) {
	name := d.config.Cloud
	if name == "" {
		name = cloudinit.NoCloud
	}
	d.options.Cloud, err = cloudinit.GetCloud(name)
	return err
}

// checkAgent validates agent_url and agent_sha256. The agent's binary cannot be in the result, because it is not text.
func (d *Datasource) checkAgent() error {
	given := d.config.AgentURL != "" || d.config.AgentSHA256 != ""
	switch d.options.Image {
	case cloudinit.Golden:
		if given {
			return errors.New("cannot use agent_url and agent_sha256 with a golden image, because it already contains ha-agent: remove them")
		}
		return nil
	case cloudinit.Stock:
		if d.config.AgentURL == "" || d.config.AgentSHA256 == "" {
			return errors.New("agent_url and agent_sha256 are missing: they are required for a stock image, which downloads ha-agent and checks its digest")
		}
	default:
		return nil
	}
	if u, err := url.Parse(d.config.AgentURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("cannot use agent_url %q: it must be an http or https URL", d.config.AgentURL)
	}
	digest := strings.ToLower(d.config.AgentSHA256)
	if b, err := hex.DecodeString(digest); err != nil || len(b) != 32 {
		return fmt.Errorf("cannot use agent_sha256 %q: must be 64 hexadecimal digits", d.config.AgentSHA256)
	}
	d.options.Agent = cloudinit.Agent{URL: d.config.AgentURL, SHA256: digest}
	return nil
}

// Execute generates the seeds.
func (d *Datasource) Execute() (cty.Value, error) {
	none := cty.NullVal(cty.EmptyObject)
	out := DatasourceOutput{
		UserData: map[string]string{}, UserDataBase64: map[string]string{},
		MetaData: map[string]string{}, NetworkConfig: map[string]string{},
	}
	var only []string
	if d.config.Node != "" {
		only = []string{d.config.Node}
	}
	seeds, err := cloudinit.Nodes(d.spec, d.release, d.options, only...)
	if err != nil {
		return none, d.placed(err)
	}
	for _, s := range seeds {
		out.add(s.Node, s.Seed)
	}
	return hcl2helper.HCL2ValueFromConfig(out, d.OutputSpec()), nil
}

// placed adds positions in the spec to its problems.
func (d *Datasource) placed(err error) error {
	var problems diag.Problems
	if errors.As(err, &problems) {
		return d.spec.Place(problems)
	}
	return err
}

func (o *DatasourceOutput) add(node string, s cloudinit.Seed) {
	o.Nodes = append(o.Nodes, node)
	if !s.Gzip {
		o.UserData[node] = string(s.UserData)
	}
	o.UserDataBase64[node] = base64.StdEncoding.EncodeToString(s.UserData)
	if s.MetaData != nil {
		o.MetaData[node] = string(s.MetaData)
	}
	if s.NetworkConfig != nil {
		o.NetworkConfig[node] = string(s.NetworkConfig)
	}
}
