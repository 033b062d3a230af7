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

// Keyring finds the file of the keys that sign a release's archive: on this machine, or in cacheDir, where it is put by
// extracting the package that holds it out of a release whose own keys are here. So every key is trusted by one that
// this machine trusts already: Debian 12 has no package of Ubuntu's keys, Debian 13 has.
func Keyring(ctx context.Context, cacheDir string, r release.Release) (string, error) {
	found, err := there(r.Keyring)
	if found || err != nil {
		return r.Keyring, err
	}
	wayOut := fmt.Sprintf("cannot trust the archive of %s: its keys are missing (%s): apt-get install %s", r.Name, r.Keyring, r.KeyringPackage)
	if r.KeyringFrom == "" {
		return "", errors.New(wayOut)
	}
	from, err := release.Get(r.KeyringFrom)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cacheDir, "keyring-"+r.KeyringPackage)
	file := filepath.Join(dir, r.Keyring)
	if found, err := there(file); found || err != nil {
		return file, err
	}
	if found, err := there(from.Keyring); !found || err != nil {
		return "", errors.Join(errors.New(wayOut), err)
	}
	if err := extract(ctx, from, r.KeyringPackage, dir); err != nil {
		return "", fmt.Errorf("%s (and %w)", wayOut, err)
	}
	return file, nil
}

// extract unpacks one package of a release into dir, at once or not at all.
func extract(ctx context.Context, from release.Release, pkg, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("cannot make the cache: %w", err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".keyring-")
	if err != nil {
		return fmt.Errorf("cannot make the cache: %w", err)
	}
	defer os.RemoveAll(tmp)
	root := filepath.Join(tmp, "root")
	cmd := exec.CommandContext(ctx, "mmdebstrap", "--quiet", "--mode=root", "--variant=extract", "--format=directory",
		"--keyring="+from.Keyring, "--include="+pkg, from.Name, root, from.Archive)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot take %s from %s: %w: %s", pkg, from.Title, err, out)
	}
	err = os.Rename(root, dir)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return nil
	}
	return err
}

func there(file string) (bool, error) {
	_, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot look for keys: %w", err)
	}
	return true, nil
}
