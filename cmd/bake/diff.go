package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/audit"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/remote"
	"github.com/hapair/hapair/internal/termsafe"
)

// diffFlags are the flags of bake diff.
type diffFlags struct {
	unified bool
	release string
	login   *remote.Login
}

func newDiff(e *env) *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff A [B]",
		Short: "Print the differences between running nodes and a spec, between specs, or between images",
		Long: `Print the differences between running nodes and a spec, between specs, or between images.

  bake diff SPEC       from the running nodes to the spec, over ssh
  bake diff A B        from A to B, each a spec or a folder that bake render wrote
  bake diff A B        from image A to image B, or their manifests

For nodes it prints a unified diff of each file, and what the difference does: nothing, reload, restart, VIP moves, package
or new image. Secrets are not shown. For images it prints differences in packages, files that hapair added, units, sysctls,
accounts, size, release, base and spec. Opening an image needs root; it is opened read-only. Reading a manifest does not
need root.

It exits with 0 if there is no difference, with 1 if there is one, and with 3 if a node could not be asked. The digests of
the image files are not compared, because a file system contains timestamps.`,
		Args: wantArgs(1, 2, "A"),
		Example: `  bake diff cluster.yaml
  bake diff rendered cluster.yaml
  sudo bake diff old.qcow2 new.qcow2`,
		RunE: func(cmd *cobra.Command, args []string) error { return e.diff(cmd.Context(), args, &f) },
	}
	cmd.Flags().BoolVarP(&f.unified, "unified", "u", false, "print a unified diff of the manifests of images")
	cmd.Flags().StringVar(&f.release, "release", "", "use this release instead of the specs': "+strings.Join(release.Names(), ", "))
	f.login = loginFlags(cmd.Flags())
	return cmd
}

func (e *env) diff(ctx context.Context, args []string, f *diffFlags) error {
	nodes := 0
	for _, path := range args {
		if describesNodes(path) {
			nodes++
		}
	}
	switch {
	case nodes == len(args):
		return e.diffNodes(ctx, args, f)
	case nodes > 0:
		return exitstatus.With(exitstatus.Failure, fmt.Errorf("cannot compare %s with %s: both must describe nodes (a spec, or a folder of bake render), or both must be images", args[0], args[1]))
	case len(args) == 1:
		return exitstatus.With(exitstatus.Usage, fmt.Errorf("cannot compare %s alone: it is not a spec; name a second image or manifest", args[0]))
	}
	return e.diffImages(ctx, args[0], args[1], f.unified)
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
