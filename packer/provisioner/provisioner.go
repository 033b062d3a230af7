// Package provisioner implements Packer's provisioner "hapair", which makes a golden image from any machine that Packer can
// reach.
package provisioner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/preflight"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// Provisioner carries out the image's recipe of a spec through Packer's communicator.
type Provisioner struct {
	executable func() (string, error)

	config   Config
	spec     *spec.Spec
	release  release.Release
	warnings diag.Problems
}

// New returns a provisioner. executable returns the path of the plugin's binary; ha-agent is searched for in its directory.
func New(executable func() (string, error)) *Provisioner {
	return &Provisioner{executable: executable}
}

// ConfigSpec returns the HCL schema of the provisioner's block.
func (p *Provisioner) ConfigSpec() hcldec.ObjectSpec { return p.config.FlatMapstructure().HCL2Spec() }

// Prepare validates the configuration and the spec, and reports all problems.
func (p *Provisioner) Prepare(raws ...any) error {
	err := config.Decode(&p.config, &config.DecodeOpts{
		PluginType:         "hapair",
		Interpolate:        true,
		InterpolateContext: &p.config.ctx,
	}, raws...)
	if err != nil {
		return err
	}
	var errs *packersdk.MultiError
	collect := func(err error) {
		if err != nil {
			errs = packersdk.MultiErrorAppend(errs, err)
		}
	}
	collect(p.prepareSpec())
	collect(p.prepareAgent())
	if errs != nil && len(errs.Errors) > 0 {
		return errs
	}
	return nil
}

func (p *Provisioner) prepareSpec() error {
	if p.config.Spec == "" {
		return errors.New(`spec is missing: set it to the path of the spec, as in spec = "${path.root}/cluster.yaml"`)
	}
	s, r, problems, err := preflight.Load(context.Background(), p.config.Spec, p.config.Release)
	if err != nil {
		return err
	}
	if problems.HasErrors() {
		return printed(problems)
	}
	p.spec, p.release, p.warnings = s, r, problems
	return nil
}

// printed returns an error with the problems formatted for people.
func printed(problems diag.Problems) error {
	var b strings.Builder
	problems.Print(&b)
	return errors.New(strings.TrimSuffix(b.String(), "\n"))
}

// prepareAgent determines the path of the ha-agent to install.
func (p *Provisioner) prepareAgent() error {
	self, err := p.executable()
	if err != nil && p.config.Agent == "" {
		return fmt.Errorf("cannot find this plugin's own binary: %v; set agent to the path of ha-agent", err)
	}
	if p.config.Agent, err = install.FindAgent(p.config.Agent, self); err != nil {
		return fmt.Errorf("%w, and set agent to its path", err)
	}
	return nil
}
