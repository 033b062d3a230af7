// Package builder implements Packer's builder "hapair-chroot". It opens a disk image on the machine on which Packer runs,
// and lets provisioners work in a chroot of the image. It needs no hypervisor.
package builder

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/config"

	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/regular"
)

// ConnType is the type of the connection to the image, which provisioners and templates see as build.ConnType.
const ConnType = "hapair-chroot"

// Builder bakes an image.
type Builder struct {
	proxies []string

	config  Config
	options image.Options
}

// New returns a builder. environ is the process's environment. Its proxies apply to downloads by other programs, on this
// machine and in the image.
func New(environ []string) *Builder {
	b := &Builder{}
	for _, setting := range environ {
		name, _, _ := strings.Cut(setting, "=")
		switch strings.ToLower(name) {
		case "http_proxy", "https_proxy", "no_proxy":
			b.proxies = append(b.proxies, setting)
		}
	}
	return b
}

// ConfigSpec returns the HCL schema of the source block.
func (b *Builder) ConfigSpec() hcldec.ObjectSpec { return b.config.FlatMapstructure().HCL2Spec() }

// Prepare validates the configuration and reports all problems.
func (b *Builder) Prepare(raws ...any) (generated, warnings []string, err error) {
	err = config.Decode(&b.config, &config.DecodeOpts{
		PluginType:         ConnType,
		Interpolate:        true,
		InterpolateContext: &b.config.ctx,
	}, raws...)
	if err != nil {
		return nil, nil, err
	}
	b.options, err = b.config.options()
	b.options.Env = b.proxies
	return nil, nil, err
}

// Run bakes the image. After an error, or if ctx ends, it leaves nothing behind.
func (b *Builder) Run(ctx context.Context, ui packersdk.Ui, hook packersdk.Hook) (packersdk.Artifact, error) {
	o := b.options
	if _, err := os.Lstat(o.Output); err == nil && !b.config.PackerForce {
		return nil, fmt.Errorf("cannot write %s: the file already exists; remove it, or run packer build with -force", o.Output)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot write %s: %w", o.Output, err)
	}
	var err error
	if o.Inputs, err = digests(b.config.Inputs); err != nil {
		return nil, err
	}
	o.Report = report(ui)
	manifest, err := image.Bake(ctx, o, func(ctx context.Context, m *image.Machine) error {
		return hook.Run(ctx, packersdk.HookProvision, ui, &communicator{ctx: ctx, machine: m}, map[string]any{
			"ConnType": ConnType,
			"ID":       o.Output,
		})
	})
	if err != nil {
		return nil, err
	}
	return &artifact{path: o.Output, manifest: manifest}, nil
}

// digests returns the digests of files, by name.
func digests(files map[string]string) (map[string]string, error) {
	sums := make(map[string]string, len(files))
	for name, path := range files {
		sum, err := digest(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read the input %s: %w", name, err)
		}
		sums[name] = sum
	}
	return sums, nil
}

func digest(path string) (string, error) {
	f, err := regular.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil)), nil
}

// report shows the progress to the user.
func report(ui packersdk.Ui) install.Report {
	return func(p install.Progress) {
		switch {
		case p.Done:
		case p.Line != "":
			ui.Say("    " + p.Line)
		case p.Fraction == 0:
			ui.Say(p.Step)
		}
	}
}
