package provisioner

//go:generate go tool packer-sdc mapstructure-to-hcl2 -type Config

import (
	"github.com/hashicorp/packer-plugin-sdk/common"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"
)

// The provisioner `hapair` makes a golden image of any machine that
// Packer can reach.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	// The path of the spec: the YAML file that describes the cluster. A
	// relative path begins where Packer was started; `${path.root}/` makes it
	// begin beside the template.
	Spec string `mapstructure:"spec" required:"true"`
	// The path of the `ha-agent` binary that goes into the image, built for the
	// machine's architecture. Default: the `ha-agent` beside the plugin, else
	// the one in `PATH`.
	Agent string `mapstructure:"agent"`
	// The release that the machine runs: `jammy`, `noble`, `resolute`,
	// `bookworm` or `trixie`. Default: the spec's.
	Release string `mapstructure:"release"`
	// Whether the machine is sealed at the end: no machine-id, no ssh host
	// keys, no logs, no apt lists, and cloud-init as if it had never run.
	// Default: `true`. Whatever comes after a sealed machine leaves its traces:
	// let this provisioner be the last one.
	Seal config.Trilean `mapstructure:"seal"`

	// A file on the machine that Packer runs on, to write the image's manifest
	// to (JSON): the release, the packages with their versions, the digests of
	// what was put in and of the spec. Default: none is written. The builder
	// `hapair-chroot` writes one by itself.
	Manifest string `mapstructure:"manifest"`

	ctx interpolate.Context
}
