package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/archive"
	"github.com/hapair/hapair/internal/release"
)

// rootRevision is part of every root's key. Increase it when the way in which roots are made changes.
const rootRevision = "3"

// StockPackages returns the packages of a root that is like the release's cloud image: apt, systemd, cloud-init and ssh, but
// neither haproxy nor keepalived.
func StockPackages() []string {
	return []string{"apt", "ca-certificates", "cloud-init", "dbus", "iproute2", "netplan.io", "nftables", "openssh-server", "procps", "sudo", "systemd", "systemd-sysv", "udev"}
}

// NodePackages returns the stock packages with haproxy and keepalived, for checking the files of a node.
func NodePackages() []string { return append(StockPackages(), "haproxy", "keepalived", "socat") }

// CacheDir returns the default directory for roots: hapair in the user's cache directory.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cannot find a cache directory: %w; set XDG_CACHE_HOME or HOME", err)
	}
	return filepath.Join(dir, "hapair"), nil
}

// Root makes a root of a release and its updates with the given packages, using mmdebstrap, or finds it in the cache. It returns the root's
// directory, which must not be written to; use an overlay. An empty cacheDir means CacheDir. If several processes request
// the same root, one makes it and the others wait.
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
	// Programs of these roots run as root, so only root may be able to write to them.
	for _, parent := range []string{cacheDir, filepath.Dir(dir)} {
		if err := checkDir(parent); err != nil {
			return "", fmt.Errorf("cannot cache roots in %s: %w", parent, err)
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
	if err := os.RemoveAll(partial); err != nil { // of an interrupted run
		return "", fmt.Errorf("cannot clean the cache of roots: %w", err)
	}
	if err := bootstrap(ctx, r, packages, partial); err != nil {
		return "", errors.Join(err, os.RemoveAll(partial))
	}
	if err := os.Rename(partial, dir); err != nil {
		return "", fmt.Errorf("cannot keep the new root: %w", err)
	}
	return dir, nil
}

// checkDir checks that only this user can write to a directory, and creates it if it does not exist.
func checkDir(path string) error {
	dir, err := archive.TrustedDir(path)
	if err != nil {
		return err
	}
	return dir.Close()
}

// bootstrap runs mmdebstrap in separate namespaces, so that it ends with this process and leaves no mount behind.
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
	sources := ""
	if r.Archive != "" {
		suites, err := archive.Reachable(ctx, http.DefaultClient, archive.Suites(r, r.Archive), func(archive.Suite) {})
		if err != nil {
			return errors.Join(err, space.close())
		}
		sources, args = archive.AptSources(suites, r, ""), append(args, "-") // "-" is standard input
	}
	cmd := space.command(ctx, "mmdebstrap", args...)
	cmd.Stdin = strings.NewReader(sources)
	out, status, err := run(cmd)
	if err == nil && status != 0 {
		err = fmt.Errorf("cannot make a root of %s: mmdebstrap exited with status %d:\n%s", r.Name, status, lastLines(out, 20))
	}
	return errors.Join(err, space.close())
}

// keyringFile writes the keys of a release's archive to a file that apt's own user can read, outside of any home directory.
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
