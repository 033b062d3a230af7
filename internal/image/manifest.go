package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/hapair/hapair/internal/termsafe"
	"github.com/hapair/hapair/internal/version"
)

// Manifest tells images apart and lets one be audited. Equal input gives an equal manifest but for the image's own
// digest: there is no time in it, and there are times in a file system.
type Manifest struct {
	Version  string            `json:"hapair"` // of the program that made the image
	Image    string            `json:"image"`  // "sha256:…" of the image file
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

// manifest takes stock of a machine that is sealed.
func (w *Work) manifest(ctx context.Context) (Manifest, error) {
	info, err := w.disk.Stat()
	if err != nil {
		return Manifest{}, err
	}
	m := Manifest{Version: version.Version, Release: w.o.Release.Name, Format: w.o.Format, Size: info.Size(), Base: w.base, Inputs: w.o.Inputs}
	if m.Packages, err = w.machine.packages(ctx); err != nil {
		return Manifest{}, err
	}
	m.Files, err = w.machine.present(ctx)
	return m, err
}

// packagesLimit bounds the list of packages: a system with a thousand has 60 kB.
const packagesLimit = 8 << 20

// packages asks dpkg what is installed.
func (m *Machine) packages(ctx context.Context) (map[string]string, error) {
	out := &head{limit: packagesLimit}
	const script = `[ -e /var/lib/dpkg/status ] || exit 0
dpkg-query -W -f '${db:Status-Status} ${binary:Package} ${Version}\n'
`
	if err := m.Run(ctx, script, out); err != nil {
		return nil, fmt.Errorf("cannot list the image's packages: %w: %s", err, termsafe.Text(out.String()))
	}
	if out.Len() == packagesLimit {
		return nil, fmt.Errorf("cannot list the image's packages: the list has more than %d bytes", packagesLimit)
	}
	packages := map[string]string{}
	for line := range strings.Lines(out.String()) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "installed" {
			packages[f[1]] = f[2]
		}
	}
	return packages, nil
}

// present lists those of the uploaded files that are there in the end, with the digests that they have now.
func (m *Machine) present(ctx context.Context) (map[string]string, error) {
	files := map[string]string{}
	for name := range m.uploaded() {
		f, err := m.opened.root.readFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the image's %s: %w", name, err)
		}
		hash := sha256.New()
		_, err = io.Copy(hash, &cancelled{ctx, f})
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("cannot read the image's %s: %w", name, err)
		}
		files[name] = "sha256:" + hex.EncodeToString(hash.Sum(nil))
	}
	return files, nil
}

// prepare writes the manifest of an image that is about to be published; it has no name yet.
func (m Manifest) prepare(image string) (*scratch, error) {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("cannot write the manifest: %w", err)
	}
	f, err := newScratch(filepath.Dir(image))
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(append(b, '\n')); err != nil {
		f.discard()
		return nil, fmt.Errorf("cannot write %s.json: %w", image, err)
	}
	return f, nil
}
