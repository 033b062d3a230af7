package cloudinit

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hapair/hapair/internal/durable"
)

// isoFile is the name of the volume with the seed.
const isoFile = "seed.iso"

// Written is a file that Write wrote.
type Written struct {
	Node string `json:"node"`
	Path string `json:"path"`
	Size int    `json:"size"`
	Gzip bool   `json:"gzip,omitempty"` // whether the user-data is compressed
}

// NodeSeed is a seed with the name of its node, which is also the name of its folder.
type NodeSeed struct {
	Node string
	Seed Seed
}

// output is a file that is ready to be written.
type output struct {
	name    string
	content []byte
	mode    fs.FileMode
	gzip    bool
}

// Write writes DIR/NODE/{user-data,meta-data,network-config,seed.iso} for every seed. It generates all files before it
// replaces the first one, so that a failure changes nothing. It removes files with these names that a seed does not have.
func Write(ctx context.Context, dir string, seeds []NodeSeed) ([]Written, error) {
	outputs := make([][]output, len(seeds))
	for i, s := range seeds {
		var err error
		if outputs[i], err = render(ctx, s.Seed); err != nil {
			return nil, err
		}
	}
	var written []Written
	for i, s := range seeds {
		folder := filepath.Join(dir, s.Node)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return written, fmt.Errorf("cannot create the folder of %s: %w", s.Node, err)
		}
		stale := map[string]bool{"user-data": true, "meta-data": true, "network-config": true, isoFile: true}
		for _, o := range outputs[i] {
			path := filepath.Join(folder, o.name)
			if err := durable.WriteFile(path, o.content, o.mode, durable.Keep, durable.Keep); err != nil {
				return written, err
			}
			delete(stale, o.name)
			written = append(written, Written{Node: s.Node, Path: path, Size: len(o.content), Gzip: o.gzip})
		}
		for name := range stale {
			if err := os.Remove(filepath.Join(folder, name)); err != nil && !os.IsNotExist(err) {
				return written, fmt.Errorf("cannot remove a file of an earlier run: %w", err)
			}
		}
	}
	return written, nil
}

// render generates a seed's files. The agent's package is only in seed.iso.
func render(ctx context.Context, s Seed) ([]output, error) {
	var outputs []output
	for _, f := range s.Files() {
		o := output{name: f.Name, content: f.Content, mode: 0o644}
		if f.Secret {
			o.mode, o.gzip = 0o600, s.Gzip
		}
		if f.Name != agentFile {
			outputs = append(outputs, o)
		}
	}
	if !s.Volume {
		return outputs, nil
	}
	iso, err := ISO(ctx, s)
	if err != nil {
		return nil, err
	}
	return append(outputs, output{name: isoFile, content: iso, mode: 0o600}), nil
}

// ISO returns a seed as a volume for the NoCloud data source. The same seed gives the same bytes.
func ISO(ctx context.Context, s Seed) ([]byte, error) {
	// MkdirTemp creates a folder that only its owner can read.
	dir, err := os.MkdirTemp("", "hapair-seed-")
	if err != nil {
		return nil, fmt.Errorf("cannot prepare the seed of %s: %w", s.Hostname, err)
	}
	defer os.RemoveAll(dir)
	target := filepath.Join(dir, isoFile)
	if err := writeISO(ctx, target, s, dir); err != nil {
		return nil, err
	}
	iso, err := os.ReadFile(target)
	if err != nil {
		return nil, fmt.Errorf("cannot read the seed of %s: %w", s.Hostname, err)
	}
	return iso, nil
}
