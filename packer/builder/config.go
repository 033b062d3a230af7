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

// The builder `hapair-chroot` makes an image on the machine that Packer
// runs on, without a hypervisor.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	// The path of the image to write. Its manifest becomes this path with
	// `.json` behind it. Where there is an image already, the build fails
	// before it begins, unless Packer runs with `-force`.
	Output string `mapstructure:"output" required:"true"`
	// Where the image begins: the path or the URL of an image (raw or qcow2),
	// or `bootstrap`, which makes one out of the release's archive. Default:
	// `bootstrap`.
	Base string `mapstructure:"base"`
	// The SHA-256 digest of the base, in hexadecimal digits. Required where
	// the base is a URL, checked where it is a path.
	BaseSHA256 string `mapstructure:"base_sha256"`
	// The release that the base is, or is to be: `jammy`, `noble`, `resolute`,
	// `bookworm` or `trixie`. Default: `noble`.
	Release string `mapstructure:"release"`
	// `qcow2`, `raw`, `vmdk`, `vhd` or `ova`. Default: by the ending of
	// `output` if that is `.vmdk`, `.vhd` or `.ova`, else `qcow2`.
	Format string `mapstructure:"format"`
	// The size of the disk, as in `4G` or `2048M`. Default: the base's; a
	// bootstrapped one has 2 GiB.
	DiskSize string `mapstructure:"disk_size"`
	// The archive to bootstrap from, instead of the release's own.
	Mirror string `mapstructure:"mirror"`
	// Bootstrap from the archive as it was at a day or a time, such as
	// `2026-01-31` or `2026-01-31T12:00:00Z`. `mirror` then names the server
	// of the snapshots.
	Snapshot string `mapstructure:"snapshot"`
	// Where downloaded and bootstrapped bases are kept. Default: `hapair` in
	// Packer's own cache.
	CacheDir string `mapstructure:"cache_dir"`
	// Files whose digests go into the manifest, by the names that they have
	// there, as in `{ spec = "cluster.yaml" }`.
	Inputs map[string]string `mapstructure:"inputs"`

	ctx interpolate.Context
}

// options checks the configuration and collects everything that is wrong with it.
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
		return fmt.Errorf("cannot use base_sha256 %q: a SHA-256 digest has 64 hexadecimal digits", digest)
	}
	if u, err := url.Parse(base); err == nil && (u.Scheme == "http" || u.Scheme == "https") && digest == "" {
		return fmt.Errorf("base_sha256 is missing: %s may change at any time, and what is baked must be known; the digest stands in the SHA256SUMS beside the image", base)
	}
	return nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
