// Package archive provides a release's suites, and the keys of its archive on a machine of another release. It also checks
// directories for trusted files.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hapair/hapair/internal/release"
)

// Keyring returns the keys that sign a release's archive. It reads them on this machine, or from a package of a release
// whose own keys are on this machine. (Debian 12 has no package with Ubuntu's keys; Debian 13 has one.) So every key is
// trusted because of a key that this machine already trusts.
func Keyring(ctx context.Context, r release.Release) ([]byte, error) {
	keys, err := os.ReadFile(r.Keyring)
	if err == nil {
		return keys, nil
	}
	missing := fmt.Errorf("cannot trust the archive of %s: %w: apt-get install %s", r.Name, err, r.KeyringPackage)
	if !errors.Is(err, fs.ErrNotExist) || r.KeyringFrom == "" {
		return nil, missing
	}
	from, err := release.Get(r.KeyringFrom)
	if err != nil {
		return nil, err
	}
	if keys, err = extract(ctx, from, r); err != nil {
		return nil, fmt.Errorf("%w (or fix this error: %w)", missing, err)
	}
	return keys, nil
}

// extract returns r's keys from the package of another release.
func extract(ctx context.Context, from, r release.Release) ([]byte, error) {
	dir, err := os.MkdirTemp("", "hapair-keyring-")
	if err != nil {
		return nil, fmt.Errorf("cannot extract %s: %w", r.KeyringPackage, err)
	}
	defer os.RemoveAll(dir)
	args := []string{"--quiet", "--mode=root", "--variant=extract", "--format=directory",
		"--keyring=" + from.Keyring, "--include=" + r.KeyringPackage, from.Name, dir}
	if from.Archive != "" {
		args = append(args, from.Archive)
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot extract %s from %s: %w: %s", r.KeyringPackage, from.Title, err, out)
	}
	return os.ReadFile(filepath.Join(dir, r.Keyring))
}
