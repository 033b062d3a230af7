package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/hapair/hapair/internal/audit"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/image"
)

// times returns SOURCE_DATE_EPOCH from the environment, and the snapshot of the package archive.
func (f *imageFlags) times() (epoch time.Time, snapshot string, err error) {
	if epoch, err = image.EpochFromEnv(os.Getenv); err != nil {
		return epoch, "", err
	}
	snapshot, err = image.ParseSnapshot(f.snapshot, f.base, time.Now())
	return epoch, snapshot, err
}

// signImage signs the manifest of an image that was just written. It first removes the signature of an older image with the
// same name.
func (e *env) signImage(ctx context.Context, f imageFlags) error {
	manifest := image.ManifestPath(f.output)
	if err := os.Remove(audit.SignaturePath(manifest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return cannot("remove an old signature: %w", err)
	}
	if f.sign == "" {
		return nil
	}
	if err := audit.Sign(ctx, f.sign, manifest, e.stderr); err != nil {
		return exitstatus.With(exitstatus.Failure, fmt.Errorf("%w; the image and its manifest were written; sign them with 'ssh-keygen -Y sign -n %s -f %s %s'", err, audit.Namespace, f.sign, manifest))
	}
	return nil
}
