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

// ErrNoXorriso means that the program that writes the seed's file system is not installed.
var ErrNoXorriso = errors.New("xorriso is not installed: apt-get install xorriso")

// seedTime is the timestamp of all files in a seed, so that the same content gives the same bytes: 1980-01-01, the earliest
// date that every file system supports.
const seedTime = "315532800"

// writeISO writes a seed as a volume that cloud-init's NoCloud data source finds by its label: ISO 9660 with Rock Ridge and
// Joliet. dir is a folder for temporary files, which the caller removes.
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
	// xorriso uses this variable for the timestamps of the file system itself (xorriso(1), "Environment").
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+seedTime)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot write %s: xorriso: %w: %s", filepath.Base(target), err, strings.TrimSpace(output.String()))
	}
	return nil
}

// isoArguments returns the arguments for xorriso. -no_rc ignores the user's own settings, and -report_about suppresses
// messages.
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
