package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/archive"
	"github.com/hapair/hapair/internal/release"
)

// rootRevision is part of every root's key: raise it when roots are made differently.
const rootRevision = "2"

// StockPackages make the base that a cloud's image of the release would be: systemd, cloud-init, ssh; neither haproxy
// nor keepalived.
func StockPackages() []string {
	return []string{"ca-certificates", "cloud-init", "dbus", "iproute2", "netplan.io", "nftables", "openssh-server", "procps", "sudo", "systemd", "systemd-sysv", "udev"}
}

// NodePackages are the stock packages with haproxy and keepalived: what the files of a node are checked with.
func NodePackages() []string { return append(StockPackages(), "haproxy", "keepalived", "socat") }

// CacheDir is where roots are kept when no other directory is named: hapair in the user's cache directory.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cannot find a cache directory: %w; set XDG_CACHE_HOME or HOME", err)
	}
	return filepath.Join(dir, "hapair"), nil
}

// Root makes a root of a release with packages by mmdebstrap, or finds it in the cache, and gives its directory. Nobody
// may write to it: put an overlay on it. An empty cacheDir means CacheDir. Processes that ask for the same root at the
// same time wait for the one that makes it.
func Root(ctx context.Context, cacheDir, releaseName string, packages ...string) (string, error) {
	r, err := release.Get(releaseName)
	if err != nil {
		return "", err
	}
	if cacheDir == "" {
		if cacheDir, err = CacheDir(); err != nil {
			return "", err
		}
	}
	packages = slices.Compact(slices.Sorted(slices.Values(packages)))
	sum := sha256.Sum256([]byte(strings.Join(append([]string{rootRevision, r.Archive}, packages...), "\n")))
	dir := filepath.Join(cacheDir, "roots", fmt.Sprintf("%s-%x", r.Name, sum[:6]))
	// Programs of these roots run as root, so only root may be able to put one there.
	for _, parent := range []string{cacheDir, filepath.Dir(dir)} {
		if err := checkDir(parent); err != nil {
			return "", fmt.Errorf("cannot keep roots in %s: %w", parent, err)
		}
	}
	unlock, err := archive.Lock(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Lstat(dir); err == nil {
		if err := checkDir(dir); err != nil {
			return "", fmt.Errorf("cannot use the cached root: %w", err)
		}
		return dir, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("cannot use the cached root: %w", err)
	}
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil { // of one who was interrupted
		return "", fmt.Errorf("cannot clear the cache of roots: %w", err)
	}
	if err := bootstrap(ctx, r, packages, partial); err != nil {
		return "", errors.Join(err, os.RemoveAll(partial))
	}
	if err := os.Rename(partial, dir); err != nil {
		return "", fmt.Errorf("cannot keep the new root: %w", err)
	}
	return dir, nil
}

// checkDir makes sure that only this user can write to a directory, which is made if it is missing.
func checkDir(path string) error {
	dir, err := archive.TrustedDir(path)
	if err != nil {
		return err
	}
	return dir.Close()
}

// bootstrap runs mmdebstrap in namespaces of its own, so that it ends with this process and leaves no mount behind.
func bootstrap(ctx context.Context, r release.Release, packages []string, dir string) error {
	keyring, err := keyringFile(ctx, r)
	if err != nil {
		return err
	}
	defer os.Remove(keyring)
	space, err := newSpace(ctx, spaceOptions{hostNetwork: true})
	if err != nil {
		return err
	}
	args := []string{"--quiet", "--mode=root", "--variant=minbase", "--include=" + strings.Join(packages, ","),
		"--components=" + strings.Join(r.Components, ","), "--keyring=" + keyring}
	args = append(args, r.Name, dir)
	if r.Archive != "" {
		args = append(args, r.Archive)
	}
	out, status, err := run(space.command(ctx, "mmdebstrap", args...))
	if err == nil && status != 0 {
		err = fmt.Errorf("cannot make a root of %s: mmdebstrap ended with status %d:\n%s", r.Name, status, lastLines(out, 20))
	}
	return errors.Join(err, space.close())
}

// keyringFile writes the keys of a release's archive to a file that apt's own user may read: in no user's home.
func keyringFile(ctx context.Context, r release.Release) (string, error) {
	keys, err := archive.Keyring(ctx, r)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "hapair-*.gpg")
	if err == nil {
		_, err = f.Write(keys)
		err = errors.Join(err, f.Chmod(0o644), f.Close())
	}
	if err != nil {
		return "", fmt.Errorf("cannot keep the keys of %s: %w", r.Name, err)
	}
	return f.Name(), nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
