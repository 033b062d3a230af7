package builder

//go:generate go tool packer-sdc mapstructure-to-hcl2 -type Config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/common"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"

	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/release"
)

// The builder `hapair-chroot` bakes an image on the machine on which Packer runs, without a hypervisor.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	// The path of the image to write. Its manifest is written to the same path with `.json` appended. If the image already
	// exists, the build fails before it begins, unless Packer runs with `-force`.
	Output string `mapstructure:"output" required:"true"`
	// The base image: the path or the URL of an image (raw or qcow2), or `bootstrap`, which makes one from the release's
	// package archive. Default: `bootstrap`.
	Base string `mapstructure:"base"`
	// The SHA-256 digest of the base image, in hexadecimal. Required if the base is a URL, optional if it is a path.
	BaseSHA256 string `mapstructure:"base_sha256"`
	// The release of the base image: `jammy`, `noble`, `resolute`, `bookworm` or `trixie`. Default: `noble`.
	Release string `mapstructure:"release"`
	// The format of the image: `qcow2`, `raw`, `vmdk`, `vhd` or `ova`. Default: from the extension of `output` if it is
	// `.vmdk`, `.vhd` or `.ova`, otherwise `qcow2`.
	Format string `mapstructure:"format"`
	// The size of the disk, for example `4G` or `2048M`. Default: the size of the base image; a bootstrapped one has 2 GiB.
	DiskSize string `mapstructure:"disk_size"`
	// The package archive to bootstrap from, instead of the release's own.
	Mirror string `mapstructure:"mirror"`
	// Bootstrap from the package archive as it was at a date or a time, such as `2026-01-31` or `2026-01-31T12:00:00Z`. If
	// set, `mirror` names the snapshot server.
	Snapshot string `mapstructure:"snapshot"`
	// The cache directory for downloaded and bootstrapped base images. Default: `hapair` in Packer's own cache.
	CacheDir string `mapstructure:"cache_dir"`
	// Files whose digests are recorded in the manifest, by the names that they have there, for example `{ spec =
	// "cluster.yaml" }`.
	Inputs map[string]string `mapstructure:"inputs"`

	ctx interpolate.Context
}

// options validates the configuration and returns all problems.
func (c *Config) options() (image.Options, error) {
	var errs *packersdk.MultiError
	collect := func(err error) {
		if err != nil {
			errs = packersdk.MultiErrorAppend(errs, err)
		}
	}
	o := image.Options{
		Base:       orElse(c.Base, image.Bootstrap),
		BaseSHA256: strings.ToLower(c.BaseSHA256),
		Mirror:     c.Mirror,
		Output:     c.Output,
		CacheDir:   c.CacheDir,
	}
	var err error
	o.Release, err = release.Get(orElse(c.Release, release.Default))
	collect(err)
	if o.Output == "" {
		collect(errors.New(`output is missing: set it to the path of the image, as in output = "${path.root}/cluster.qcow2"`))
	}
	o.Format, err = image.ParseFormat(c.Format, c.Output)
	collect(err)
	collect(checkBase(o.Base, o.BaseSHA256))
	o.Epoch, err = image.EpochFromEnv(os.Getenv)
	collect(err)
	o.Snapshot, err = image.ParseSnapshot(c.Snapshot, o.Base, time.Now())
	collect(err)
	if o.Size, err = image.ParseSize(c.DiskSize); err != nil {
		collect(fmt.Errorf("disk_size: %w", err))
	}
	if o.CacheDir == "" {
		o.CacheDir, err = packersdk.CachePath("hapair")
		collect(err)
	}
	if o.Output != "" {
		o.Output, err = filepath.Abs(o.Output)
		collect(err)
	}
	if errs != nil && len(errs.Errors) > 0 {
		return o, errs
	}
	return o, nil
}

func checkBase(base, digest string) error {
	if digest != "" && !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(digest) {
		return fmt.Errorf("cannot use base_sha256 %q: must be 64 hexadecimal digits", digest)
	}
	if u, err := url.Parse(base); err == nil && (u.Scheme == "http" || u.Scheme == "https") && digest == "" {
		return fmt.Errorf("base_sha256 is missing: it is required for %s, because the file may change; use the digest from the SHA256SUMS beside the image", base)
	}
	return nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
