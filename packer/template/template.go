// Package template writes a Packer build in HCL: the required plugins, the source, and the provisioner that makes a golden
// image.
package template

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/hapair/hapair/internal/nearest"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/version"
)

// Names of files that a build may need in its folder.
const (
	File       = "build.pkr.hcl"
	PrivateKey = "build-key"
	PublicKey  = "build-key.pub"
)

// Build describes a build.
type Build struct {
	// Builder is the name of Packer's builder: one of Builders.
	Builder string
	// Cluster is the name of the cluster, and of the image.
	Cluster string
	// Release is the release of the image.
	Release release.Release
	// Spec is the path of the spec, absolute or relative to the template.
	Spec string
	// Agent is the path of the ha-agent binary, absolute or relative to the template. If it is empty, the plugin searches
	// for it.
	Agent string
}

// builder describes what is specific to one of Packer's builders.
type builder struct {
	name string
	// plugin is the plugin that contains the builder. It is zero if the builder is part of Packer or of hapair's plugin.
	plugin plugin
	// variables returns the variables that the user must or may set.
	variables func(b Build) []variable
	// source writes the source block.
	source func(body *hclwrite.Body, b Build)
	// key means that the build logs in with a key that is in the template's folder.
	key bool
	// root means that the build works on this machine as root.
	root bool
	// manifest means that the builder itself writes the image's manifest.
	manifest bool
}

// plugin is an entry of required_plugins.
type plugin struct{ name, source, version string }

// variable is a variable block. A nil value means that the user must set it.
type variable struct {
	name, description string
	value             *cty.Value
}

func builders() []builder {
	return []builder{chrootBuilder(), qemuBuilder(), nullBuilder(), amazonBuilder(), openstackBuilder()}
}

// Builders returns the names of the supported builders.
func Builders() []string {
	var names []string
	for _, b := range builders() {
		names = append(names, b.name)
	}
	return names
}

func find(name string) (builder, error) {
	all := builders()
	i := slices.IndexFunc(all, func(b builder) bool { return b.name == name })
	if i < 0 {
		return builder{}, fmt.Errorf("cannot write a build for the builder %q: %s", name, nearest.OneOf(name, Builders()))
	}
	return all[i], nil
}

// CheckBuilder returns an error if the builder is not supported.
func CheckBuilder(name string) error {
	_, err := find(name)
	return err
}

// NeedsKey reports whether the build logs in with PrivateKey, which must be in the template's folder together with
// PublicKey.
func NeedsKey(builder string) bool {
	b, err := find(builder)
	return err == nil && b.key
}

// NeedsRoot reports whether Packer must run as root.
func NeedsRoot(builder string) bool {
	b, err := find(builder)
	return err == nil && b.root
}

// NeedsPlugin reports whether the build needs a plugin other than hapair's own, which `packer init` downloads.
func NeedsPlugin(builder string) bool {
	b, err := find(builder)
	return err == nil && b.plugin.name != ""
}

// Required returns the variables that the user must set, in the order of the template.
func Required(b Build) []string {
	k, err := find(b.Builder)
	if err != nil {
		return nil
	}
	var names []string
	for _, v := range k.variables(b) {
		if v.value == nil {
			names = append(names, v.name)
		}
	}
	return names
}

// HCL returns the build as HCL.
func HCL(b Build) ([]byte, error) {
	k, err := find(b.Builder)
	if err != nil {
		return nil, err
	}
	f := hclwrite.NewEmptyFile()
	body := f.Body()
	comment(body, fmt.Sprintf("Bakes the golden image of the cluster %s on %s with Packer's builder %s.", b.Cluster, b.Release.Title, b.Builder))
	comment(body, "Written by `bake packer`. You can edit this file.")
	body.AppendNewline()
	plugins(body, k)
	for _, v := range k.variables(b) {
		v.write(body)
	}
	body.AppendNewline()
	source := body.AppendNewBlock("source", []string{b.Builder, sourceName})
	k.source(source.Body(), b)
	body.AppendNewline()
	build(body, b, k)
	return hclwrite.Format(f.Bytes()), nil
}

// sourceName is the second label of the source block. It is in Packer's output: `==> qemu.golden: …`.
const sourceName = "golden"

func plugins(body *hclwrite.Body, k builder) {
	required := body.AppendNewBlock("packer", nil).Body().AppendNewBlock("required_plugins", nil).Body()
	all := []plugin{{"hapair", "github.com/hapair/hapair", ">= " + version.Version}}
	if k.plugin.name != "" {
		all = append(all, k.plugin)
	}
	for _, p := range all {
		required.SetAttributeValue(p.name, cty.ObjectVal(map[string]cty.Value{
			"source":  cty.StringVal(p.source),
			"version": cty.StringVal(p.version),
		}))
	}
}

func build(body *hclwrite.Body, b Build, k builder) {
	build := body.AppendNewBlock("build", nil).Body()
	text(build, "name", b.Cluster)
	build.SetAttributeValue("sources", cty.ListVal([]cty.Value{cty.StringVal("source." + b.Builder + "." + sourceName)}))
	build.AppendNewline()
	p := build.AppendNewBlock("provisioner", []string{"hapair"}).Body()
	beside(p, "spec", b.Spec)
	text(p, "release", b.Release.Name)
	if b.Agent != "" {
		beside(p, "agent", b.Agent)
	}
	if !k.manifest {
		beside(p, "manifest", beginning(b)+".json")
	}
}
