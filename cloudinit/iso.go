package cloudinit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoXorriso says that the program which writes the seed's file system is not there.
var ErrNoXorriso = errors.New("xorriso is not installed: apt-get install xorriso")

// seedTime is the date of everything in a seed, so that equal content gives equal bytes: 1980-01-01, the first that
// every file system knows.
const seedTime = "315532800"

// writeISO writes a seed as a volume that cloud-init's data source NoCloud finds by its label: ISO 9660 with Rock Ridge and
// Joliet. dir is for its own use and is left to the caller.
func writeISO(ctx context.Context, target string, s Seed, dir string) error {
	xorriso, err := exec.LookPath("xorriso")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", filepath.Base(target), ErrNoXorriso)
	}
	content := filepath.Join(dir, "content")
	if err := os.Mkdir(content, 0o700); err != nil {
		return fmt.Errorf("cannot prepare the seed: %w", err)
	}
	for _, f := range s.Files() {
		if err := os.WriteFile(filepath.Join(content, f.Name), f.Content, 0o600); err != nil {
			return fmt.Errorf("cannot prepare the seed: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, xorriso, isoArguments(content, target)...)
	// xorriso takes the times that a file system has of itself from there (xorriso(1), "Environment").
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+seedTime)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot write %s: xorriso: %w: %s", filepath.Base(target), err, strings.TrimSpace(output.String()))
	}
	return nil
}

// isoArguments are xorriso's: -no_rc keeps a person's own settings out, -report_about keeps it from telling what it does.
func isoArguments(content, target string) []string {
	const end = "--"
	return []string{
		"-no_rc", "-report_about", "WARNING", "-return_with", "SORRY", "32",
		"-outdev", "stdio:" + target, "-volid", "CIDATA", "-joliet", "on", "-rockridge", "on",
		"-map", content, "/",
		"-chown_r", "0", "/", end, "-chgrp_r", "0", "/", end,
		"-chmod", "0755", "/", end, "-chmod_r", "0600", "/user-data", end,
		"-alter_date_r", "b", "=" + seedTime, "/", end,
		"-commit", "-end",
	}
}
