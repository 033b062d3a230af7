package provisioner

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/version"
)

// manifest describes the image, so that images can be compared and audited. It has the keys of package image's manifest,
// except those that only a builder knows: the image's digest, format, size and base. The same input gives the same manifest,
// because it has no timestamps.
type manifest struct {
	Version  string            `json:"hapair"` // version of the program that made the image
	Release  string            `json:"release"`
	Inputs   map[string]string `json:"inputs"`
	Packages map[string]string `json:"packages"` // version by name
	Files    map[string]string `json:"files"`    // "sha256:…" by path
}

func (p *Provisioner) writeManifest(ctx context.Context, m *machine) error {
	doc := manifest{
		Version: version.Version,
		Release: p.release.Name,
		Inputs:  map[string]string{"spec": "sha256:" + p.spec.Digest},
	}
	var err error
	if doc.Packages, err = m.packages(ctx); err != nil {
		return err
	}
	if doc.Files, err = m.digests(ctx); err != nil {
		return err
	}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write the manifest: %w", err)
	}
	return durable.WriteFile(p.config.Manifest, append(out, '\n'), 0o644, durable.Keep, durable.Keep)
}

// packages returns the installed packages from dpkg.
func (m *machine) packages(ctx context.Context) (map[string]string, error) {
	var out bytes.Buffer
	if err := m.Run(ctx, `dpkg-query -W -f '${db:Status-Status} ${binary:Package} ${Version}\n'`+"\n", &out); err != nil {
		return nil, fmt.Errorf("cannot list the machine's packages: %w: %s", err, strings.TrimSpace(out.String()))
	}
	packages := map[string]string{}
	for line := range strings.Lines(out.String()) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "installed" {
			packages[f[1]] = f[2]
		}
	}
	return packages, nil
}

// digests returns the digests of the uploaded files in their final state.
func (m *machine) digests(ctx context.Context) (map[string]string, error) {
	var script strings.Builder
	for _, path := range m.uploaded {
		fmt.Fprintf(&script, "[ ! -e %[1]s ] || sha256sum -- %[1]s\n", install.Quote(path))
	}
	var out bytes.Buffer
	if err := m.Run(ctx, "set -eu\n"+script.String(), &out); err != nil {
		return nil, fmt.Errorf("cannot read the machine's files: %w: %s", err, strings.TrimSpace(out.String()))
	}
	files := map[string]string{}
	for line := range strings.Lines(out.String()) {
		if digest, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  "); ok {
			files[path] = "sha256:" + digest
		}
	}
	return files, nil
}
