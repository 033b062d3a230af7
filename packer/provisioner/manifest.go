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

// manifest tells images apart and lets one be audited. Its keys are those of package image's, less what only a builder
// knows: the image's digest, format, size and base. Equal input gives an equal manifest: there is no time in it.
type manifest struct {
	Version  string            `json:"hapair"` // of the program that made the image
	Release  string            `json:"release"`
	Inputs   map[string]string `json:"inputs"`
	Packages map[string]string `json:"packages"` // name: version
	Files    map[string]string `json:"files"`    // path: "sha256:…"
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

// packages asks dpkg what is installed.
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

// digests are those of the uploaded files as they are in the end.
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
