// Package image opens a disk image on this machine, without a hypervisor: the base is fetched or bootstrapped, copied,
// mounted in a mount namespace that nobody else sees, worked on in a chroot, sealed, and written under its final name in
// one step. Whatever ends the process, SIGKILL included, leaves no mount, no loop device and no half-written image.
package image

import (
	"context"
	"io"
	"net/http"

	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/release"
)

// Format of an image file.
type Format string

const (
	QCOW2 Format = "qcow2" // compressed with zstd
	Raw   Format = "raw"   // sparse
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
	// Mirror replaces the release's archive when bootstrapping; the image keeps it as its source. Empty: the archive.
	Mirror string
	// Size of the disk in bytes; 0: as large as the base (a bootstrapped one has 2 GiB). It cannot be less.
	Size int64
	// Output is the image's final name. Its manifest becomes Output + ".json".
	Output string
	// Format of the output. Empty: QCOW2.
	Format Format
	// CacheDir keeps downloaded and bootstrapped bases. It is made where it is missing.
	CacheDir string
	// Inputs are the digests of what the image is made from, for the manifest: "spec": "sha256:…".
	Inputs map[string]string
	// Env is handed to downloads made by other programs and to what runs in the image: proxies, as NAME=value.
	Env []string
	// Client downloads a base and asks archives. nil: http.DefaultClient.
	Client *http.Client
	// Report is told of every stage. nil: nobody is told.
	Report install.Report
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

// Work is an image that is being made.
type Work struct{}

// Begin checks this machine and the options, gets the base, makes a working copy of it and opens that.
func Begin(ctx context.Context, o Options) (*Work, error) { return nil, nil }

// Machine is the machine in the image.
func (w *Work) Machine() *Machine { return nil }

// Finish seals the image, takes its manifest, closes it, checks its file system, and puts image and manifest under their
// final names.
func (w *Work) Finish(ctx context.Context) (Manifest, error) { return Manifest{}, nil }

// Close gives up whatever Finish has not written. It may be called at any time, and more than once.
func (w *Work) Close() error { return nil }

// Manifest tells images apart and lets one be audited. Equal input gives an equal manifest: there is no time in it.
type Manifest struct {
	Release  string            `json:"release"`
	Format   Format            `json:"format"`
	Size     int64             `json:"size"` // of the disk, in bytes
	Base     BaseInfo          `json:"base"`
	Inputs   map[string]string `json:"inputs,omitempty"` // what the image is made from: "spec": "sha256:…"
	Packages map[string]string `json:"packages"`         // name: version
	Files    map[string]string `json:"files"`            // what was put in: path: "sha256:…"
}

// BaseInfo is where an image began.
type BaseInfo struct {
	Source string `json:"source"` // file name, URL or "bootstrap"
	Digest string `json:"digest"` // "sha256:…" of the file; of a bootstrapped base: of what it was asked to be
}

// Machine is the system in an opened image. It implements install.Machine.
type Machine struct{}

var _ install.Machine = (*Machine)(nil)

// Command is what Exec runs.
type Command struct {
	Script         string // for /bin/sh
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Exec runs a command in the image as root, with a process table of its own: what it leaves running is killed. The
// status is the command's own; an error means that it could not be run to its end.
func (m *Machine) Exec(ctx context.Context, c Command) (status int, err error) { return 0, nil }
