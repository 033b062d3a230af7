package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// seedDir is the directory in which cloud-init's NoCloud data source looks for a seed, because a container has no volumes.
const seedDir = "/var/lib/cloud/seed/nocloud"

// layDownSeed copies the files of a seed to the host's disk.
func (h *Host) layDownSeed(seed string) error {
	info, err := os.Stat(seed)
	if err != nil {
		return fmt.Errorf("cannot use the seed: %w", err)
	}
	dir := seed
	if !info.IsDir() {
		if dir, err = os.MkdirTemp("", "hapair-seed-"); err != nil {
			return fmt.Errorf("cannot use the seed %s: %w", seed, err)
		}
		defer os.RemoveAll(dir)
		if err := extractISO(seed, dir); err != nil {
			return err
		}
	}
	if err := h.fitCards(filepath.Join(dir, "network-config")); err != nil {
		return fmt.Errorf("cannot use the seed %s: %w", seed, err)
	}
	return h.copyTree(dir, seedDir)
}

func extractISO(iso, dir string) error {
	out, err := exec.CommandContext(context.Background(), "xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot read the seed %s: %w:\n%s", iso, err, lastLines(string(out), 5))
	}
	return nil
}

// copyTree copies the regular files below dir to a directory of the host that only root can enter.
func (h *Host) copyTree(dir, target string) error {
	root, err := h.root()
	if err != nil {
		return err
	}
	defer root.Close()
	found := false
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found = true
		rel := strings.TrimPrefix(path, dir)
		return writeAs(root, h.uid, target+filepath.ToSlash(rel), 0o600, data)
	})
	if err == nil && !found {
		err = errors.New("it is empty")
	}
	if err != nil {
		return fmt.Errorf("cannot copy %s: %w", dir, err)
	}
	return root.Chmod(strings.TrimPrefix(target, "/"), 0o700)
}
