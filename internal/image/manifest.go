package image

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/hapair/hapair/internal/version"
)

// Manifest describes an image, so that images can be compared and audited. The same input gives the same manifest, except
// for the digest of the image: a manifest has no timestamps, but a file system does.
type Manifest struct {
	Version  string             `json:"hapair"`         // version of the program that made the image
	Image    string             `json:"image"`          // "sha256:…" of the image file
	SBOM     string             `json:"sbom,omitempty"` // "sha256:…" of the list of software beside the image
	Release  string             `json:"release"`
	Format   Format             `json:"format"`
	Size     int64              `json:"size"` // of the disk, in bytes
	Base     BaseInfo           `json:"base"`
	Inputs   map[string]string  `json:"inputs,omitempty"`   // digests of the image's inputs: "spec": "sha256:…"
	Snapshot string             `json:"snapshot,omitempty"` // time of the archive: 20260131T000000Z
	Packages map[string]string  `json:"packages"`           // version by name
	Files    map[string]File    `json:"files"`              // files that were added, by path
	Units    map[string]string  `json:"units,omitempty"`    // enabled and masked units: name: enabled or masked
	Sysctls  map[string]string  `json:"sysctls,omitempty"`  // key: value, of all files of sysctl.d
	Accounts map[string]Account `json:"accounts,omitempty"` // by name
}

// BaseInfo describes the base image.
type BaseInfo struct {
	Source string `json:"source"` // file name, URL or "bootstrap"
	Digest string `json:"digest"` // "sha256:…" of the file; for a bootstrapped base: of its inputs
}

// manifest returns the manifest of a sealed machine.
func (w *Work) manifest(ctx context.Context) (Manifest, error) {
	info, err := w.disk.Stat()
	if err != nil {
		return Manifest{}, err
	}
	m := Manifest{Version: version.Version, Release: w.o.Release.Name, Format: w.o.Format, Size: info.Size(), Base: w.base, Inputs: w.o.Inputs, Snapshot: w.o.Snapshot}
	have, err := tree{w.opened.root}.take()
	if err != nil {
		return Manifest{}, err
	}
	w.installed = have.installed
	m.describe(have)
	paths := slices.Sorted(maps.Keys(w.machine.uploaded()))
	m.Files, err = tree{w.opened.root}.files(ctx, paths)
	return m, err
}

// describe sets the parts of the manifest that come from the image's own files.
func (m *Manifest) describe(s stock) {
	m.Packages, m.Units, m.Sysctls, m.Accounts = s.packages(), s.units, s.sysctls, s.accounts
}

// prepare writes the manifest of an image that will be published. The file has no name yet.
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
