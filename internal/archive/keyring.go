// Package archive knows how a release's packages are had on a machine of another release: by which keys they are trusted.
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

// Keyring reads the keys that sign a release's archive: on this machine, or out of a package of a release whose own keys
// are here (Debian 12 has no package of Ubuntu's keys, Debian 13 has), so that every key is trusted by one that this
// machine trusts already.
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
		return nil, fmt.Errorf("%w (or mend this: %w)", missing, err)
	}
	return keys, nil
}

// extract takes r's keys out of the package of another release.
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
		return nil, fmt.Errorf("cannot take %s from %s: %w: %s", r.KeyringPackage, from.Title, err, out)
	}
	return os.ReadFile(filepath.Join(dir, r.Keyring))
}
