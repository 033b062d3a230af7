package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/audit"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/termsafe"
)

func newDiff(e *env) *cobra.Command {
	var unified bool
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Print the differences between two images",
		Long: `Print the differences between two images: packages, files that hapair added, units, sysctls, accounts, size,
release, base and spec. A and B are images, or manifests of images. Opening an image needs root; it is opened
read-only. Reading a manifest does not need root.

It exits with 0 if there is no difference, and with 1 if there is one. The digests of the image files are not compared,
because a file system contains timestamps.`,
		Args: wantArgs(2, 2, "A", "B"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.diffImages(cmd.Context(), args[0], args[1], unified)
		},
	}
	cmd.Flags().BoolVarP(&unified, "unified", "u", false, "print a unified diff of the manifests")
	return cmd
}

func (e *env) diffImages(ctx context.Context, pathA, pathB string, unified bool) error {
	if unified && e.json {
		return exitstatus.With(exitstatus.Usage, errors.New("cannot print a unified diff as JSON: remove --unified or --json"))
	}
	a, err := readSide(ctx, pathA)
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	b, err := readSide(ctx, pathB)
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	changes := audit.Compare(a, b)
	out := termsafe.Writer(e.stdout)
	switch {
	case e.json:
		if changes == nil {
			changes = []audit.Change{}
		}
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(changes)
	case unified:
		_, err = out.Write(audit.Unified(pathA, a, pathB, b))
	default:
		err = audit.Words(out, changes)
	}
	if err != nil {
		return cannot("print the differences: %w", err)
	}
	if len(changes) > 0 {
		return exitstatus.With(exitstatus.No, nil)
	}
	return nil
}

// readSide reads a manifest, or inspects an image and returns its manifest.
func readSide(ctx context.Context, path string) (*image.Manifest, error) {
	manifest, err := image.IsManifest(path)
	if err != nil {
		return nil, fmt.Errorf("cannot compare %s: %w", path, err)
	}
	if manifest {
		m, _, err := image.ReadManifest(path)
		return m, err
	}
	i, err := image.Inspect(ctx, path, os.TempDir())
	if err != nil {
		return nil, fmt.Errorf("cannot compare %s: %w", path, err)
	}
	return &i.Manifest, nil
}
