package provisioner

//go:generate go tool packer-sdc mapstructure-to-hcl2 -type Config

import (
	"github.com/hashicorp/packer-plugin-sdk/common"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"
)

// The provisioner `hapair` makes a golden image from any machine that Packer can reach.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	// The path of the spec: the YAML file that describes the cluster. A relative path is relative to the directory in which
	// Packer was started; use `${path.root}/` for a path relative to the template.
	Spec string `mapstructure:"spec" required:"true"`
	// The path of the `ha-agent` binary to install, built for the machine's architecture. Default: the `ha-agent` in the
	// directory of the plugin, otherwise the one in `PATH`.
	Agent string `mapstructure:"agent"`
	// The release of the machine: `jammy`, `noble`, `resolute`, `bookworm` or `trixie`. Default: the spec's.
	Release string `mapstructure:"release"`
	// Whether to seal the machine at the end: remove the machine-id, ssh host keys, logs and apt lists, and reset
	// cloud-init. Default: `true`. This provisioner should be the last one, because later changes to a sealed machine leave
	// traces in the image.
	Seal config.Trilean `mapstructure:"seal"`

	// A file on the machine on which Packer runs, to which the image's manifest (JSON) is written: the release, the packages
	// with their versions, and the digests of the spec and of the added files. Default: no manifest. The builder
	// `hapair-chroot` always writes one.
	Manifest string `mapstructure:"manifest"`

	ctx interpolate.Context
}
