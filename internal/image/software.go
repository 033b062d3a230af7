package image

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/dpkg"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/sbom"
	"github.com/hapair/hapair/internal/version"
	"github.com/hapair/hapair/internal/wellknown"
)

// software returns the list of an image's software as SPDX. Its time is the epoch, or the current time if the epoch is zero.
func software(name string, m Manifest, installed []dpkg.Package, epoch time.Time) ([]byte, error) {
	if epoch.IsZero() {
		epoch = time.Now()
	}
	distribution := "debian"
	if r, err := release.Get(m.Release); err == nil {
		distribution = r.Distribution
	}
	i := sbom.Image{
		Name: filepath.Base(name), SHA256: strings.TrimPrefix(m.Image, "sha256:"), Distribution: distribution, Release: m.Release,
		Tool: "hapair-" + version.Version, Created: epoch, Packages: installed,
	}
	if f, ok := m.Files[wellknown.Agent]; ok {
		i.Files = []sbom.Program{{Name: wellknown.Agent, Version: cmp.Or(m.Version, version.Version), SHA256: strings.TrimPrefix(f.Digest, "sha256:")}}
	}
	return sbom.Marshal(i)
}

// prepareSoftware writes the list of software of an image that will be published, and adds its digest to the manifest.
func (w *Work) prepareSoftware(ctx context.Context, m *Manifest) (*scratch, error) {
	b, err := software(w.o.Output, *m, w.installed, w.o.Epoch)
	if err != nil {
		return nil, err
	}
	f, err := newScratch(filepath.Dir(w.o.Output))
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(b); err == nil {
		m.SBOM, err = fileDigest(ctx, f.File)
		m.SBOM = "sha256:" + m.SBOM
	}
	if err != nil {
		f.discard()
		return nil, fmt.Errorf("cannot write %s: %w", SoftwarePath(w.o.Output), err)
	}
	return f, nil
}

// SoftwarePath returns the path of an image's list of software.
func SoftwarePath(image string) string { return image + ".spdx.json" }

// ManifestPath returns the path of an image's manifest.
func ManifestPath(image string) string { return image + ".json" }
