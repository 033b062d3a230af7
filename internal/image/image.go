// Package image opens a disk image on this machine, without a hypervisor: the base is fetched or bootstrapped, copied,
// mounted in a mount namespace that nobody else sees, worked on in a chroot, sealed, and written under its final name in
// one step. Whatever ends the process, SIGKILL included, leaves no mount, no loop device and no half-written image.
package image

import (
	"context"
	"net/http"
	"time"

	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/release"
)

// Format of an image file.
type Format string

const (
	QCOW2 Format = "qcow2" // compressed with zstd
	Raw   Format = "raw"   // sparse
	VMDK  Format = "vmdk"  // compressed (streamOptimized): for VMware
	VHD   Format = "vhd"   // fixed, of whole MiB: for Azure
	OVA   Format = "ova"   // an OVF descriptor, a manifest and a VMDK
)

// Bootstrap as a base: made here with mmdebstrap from the release's archive.
const Bootstrap = "bootstrap"

// Options of a bake.
type Options struct {
	Release release.Release
	// Base is where the image begins: a path (raw or qcow2), an http or https URL, or Bootstrap.
	Base string
	// BaseSHA256 is the base's digest in hexadecimal digits: required with a URL, checked with a path where given.
	BaseSHA256 string
	// Mirror replaces the release's archive when bootstrapping; the image keeps it as its source. Empty: the archive. With
	// a Snapshot it replaces the server of the snapshots, and the image does not keep it.
	Mirror string
	// Snapshot is the time of the archive from which a base is bootstrapped and packages are installed, as ParseSnapshot
	// returns it. The image gets its updates from the release's archive of the day. Empty: the archive of the day.
	Snapshot string
	// Epoch is the time to which later times in the image's file systems are set back. Zero: they are left alone. It is
	// handed to all programs that run in the image as SOURCE_DATE_EPOCH.
	Epoch time.Time
	// Size of the disk in bytes; 0: as large as the base (a bootstrapped one has 2 GiB). It cannot be less.
	Size int64
	// Output is the image's final name. Its manifest becomes Output + ".json", its list of software Output + ".spdx.json".
	Output string
	// Format of the output. Empty: QCOW2.
	Format Format
	// CacheDir keeps downloaded and bootstrapped bases and what apt downloads. It is made where it is missing.
	CacheDir string
	// Inputs are the digests of what the image is made from, for the manifest: "spec": "sha256:…".
	Inputs map[string]string
	// Env is handed to downloads made by other programs and to what runs in the image: proxies, as NAME=value.
	Env []string
	// Client downloads a base and asks archives. nil: http.DefaultClient.
	Client *http.Client
	// Report is told of every stage. nil: nobody is told.
	Report install.Report

	current  string        // the stage that is reported on
	packages *packageCache // nil: what apt downloads is not kept
}

// Bake makes an image: begin with a copy of the base, open it, let work do what it likes with the machine in it, seal
// it, write it. Without an error the image and its manifest lie under their final names; with one neither does, and an
// image that was there before is untouched.
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

// stage reports a step of this package's own.
func (o *Options) stage(name string, run func() error) error {
	o.current = name
	o.tell(install.Progress{Step: name})
	err := run()
	if err == nil {
		o.tell(install.Progress{Step: name, Done: true})
	}
	return err
}

// line says something of the current stage.
func (o *Options) line(text string) { o.tell(install.Progress{Step: o.current, Line: text}) }

// fraction says how much of the current stage is done.
func (o *Options) fraction(f float64) { o.tell(install.Progress{Step: o.current, Fraction: f}) }

func (o *Options) tell(p install.Progress) {
	if o.Report != nil {
		o.Report(p)
	}
}
