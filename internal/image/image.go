// Package image opens a disk image on this machine, without a hypervisor. It downloads or bootstraps a base image, copies
// it, mounts the copy in a private mount namespace, changes it in a chroot, seals it, and atomically writes the result under
// its final name. Even if the process is killed with SIGKILL, it leaves no mount, no loop device and no partial image.
package image

import (
	"context"
	"net/http"
	"time"

	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/release"
)

// Format is the format of an image file.
type Format string

const (
	QCOW2 Format = "qcow2" // compressed with zstd
	Raw   Format = "raw"   // sparse
	VMDK  Format = "vmdk"  // compressed (streamOptimized), for VMware
	VHD   Format = "vhd"   // fixed size, of whole MiB, for Azure
	OVA   Format = "ova"   // an OVF descriptor, a manifest and a VMDK
)

// Bootstrap as the base means that the base is made here with mmdebstrap from the release's archive.
const Bootstrap = "bootstrap"

// Options are the options of a bake.
type Options struct {
	Release release.Release
	// Base is the base image: a path (raw or qcow2), an http or https URL, or Bootstrap.
	Base string
	// BaseSHA256 is the base's SHA-256 in hexadecimal. It is required for a URL, and optional for a path.
	BaseSHA256 string
	// Mirror replaces the release's archive for bootstrapping, and the image continues to use it. Empty means the release's
	// archive. With a Snapshot it replaces the snapshot server, and the image does not use it.
	Mirror string
	// Snapshot is the time of the archive from which a base is bootstrapped and packages are installed, as ParseSnapshot
	// returns it. The image gets its updates from the release's current archive. Empty means the current archive.
	Snapshot string
	// Epoch is the latest timestamp in the image's file systems; later times are set back to it. If it is zero, times are
	// not changed. Programs that run in the image get it as SOURCE_DATE_EPOCH.
	Epoch time.Time
	// Size is the size of the disk in bytes. 0 means the size of the base (a bootstrapped one has 2 GiB). It must not be
	// smaller than the base.
	Size int64
	// Output is the path of the image. Its manifest is written to Output + ".json", and its list of software to Output +
	// ".spdx.json".
	Output string
	// Format is the format of the output. Empty means QCOW2.
	Format Format
	// CacheDir is the directory for downloaded and bootstrapped base images and for apt's downloads. It is created if it
	// does not exist.
	CacheDir string
	// Inputs are the digests of the image's inputs, for the manifest: "spec": "sha256:…".
	Inputs map[string]string
	// Env is the environment of programs that download and of programs in the image: proxies, as NAME=value.
	Env []string
	// Client is used to download a base and to query archives. nil means http.DefaultClient.
	Client *http.Client
	// Report is called for every stage. It may be nil.
	Report install.Report

	current  string        // the stage that is reported now
	packages *packageCache // if nil, apt's downloads are not cached
}

// Bake makes an image: it copies and opens the base image, calls work with the machine in it, seals it, and writes it. If
// there is no error, the image and its manifest exist under their final names. If there is one, neither was written, and an
// older image is unchanged.
func Bake(ctx context.Context, o Options, work func(ctx context.Context, m *Machine) error) (Manifest, error) {
	w, err := Begin(ctx, o)
	if err != nil {
		return Manifest{}, err
	}
	defer w.Close()
	if err := work(ctx, w.Machine()); err != nil {
		return Manifest{}, err
	}
	return w.Finish(ctx)
}

func (o *Options) client() *http.Client {
	if o.Client == nil {
		return http.DefaultClient
	}
	return o.Client
}

// stage reports and runs a step of this package.
func (o *Options) stage(name string, run func() error) error {
	o.current = name
	o.report(install.Progress{Step: name})
	err := run()
	if err == nil {
		o.report(install.Progress{Step: name, Done: true})
	}
	return err
}

// line reports a line of the current stage.
func (o *Options) line(text string) { o.report(install.Progress{Step: o.current, Line: text}) }

// fraction reports which part of the current stage is done.
func (o *Options) fraction(f float64) { o.report(install.Progress{Step: o.current, Fraction: f}) }

func (o *Options) report(p install.Progress) {
	if o.Report != nil {
		o.Report(p)
	}
}
