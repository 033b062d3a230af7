package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/wellknown"
)

// maxApply is the size limit, in bytes, of the files that are sent to the daemon.
const maxApply = 64 << 20

func cmdApply(ctx context.Context, e *env, args []string) error {
	flags := e.flags("apply")
	timeout := flags.Duration("timeout", 5*time.Minute, "time limit for the daemon's answer")
	allow := flags.Bool("allow-no-servers", false, "keep the change even if a backend that had a server up has none afterwards")
	if err := e.parse(flags, args, 1); err != nil {
		return err
	}
	files, err := filesBelow(flags.Arg(0))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	var done control.Applied
	if err := control.Ask(ctx, wellknown.AgentSocket, control.Request{Command: "apply", Apply: &control.ApplyRequest{Files: files, AllowNoServers: *allow}}, &done); err != nil {
		return fmt.Errorf("cannot apply %s: %w", flags.Arg(0), err)
	}
	switch c := done.Change; {
	case done.Refused != "":
		return exitstatus.With(exitstatus.No, fmt.Errorf("apply: %s", done.Refused))
	case c == nil:
		fmt.Fprintln(e.stdout, "nothing to do: the node already runs these files")
	case c.Verdict != journal.Proven:
		return exitstatus.With(exitstatus.No, fmt.Errorf("change %d of %s was %s, and no file was changed: %s", c.Number, strings.Join(c.Targets, ", "), c.Verdict, c.Reason))
	default:
		fmt.Fprintf(e.stdout, "change %d of %s was proven in %s\n", c.Number, strings.Join(c.Targets, ", "), c.Took)
		if c.Reason != "" {
			fmt.Fprintf(e.stderr, "ha-agent: %s\n", c.Reason)
		}
	}
	return nil
}

// filesBelow reads all files below a directory. A file's path in the directory is its absolute path on the node:
// DIR/etc/haproxy/haproxy.cfg.
func filesBelow(dir string) ([]control.ApplyFile, error) {
	var files []control.ApplyFile
	size := int64(0)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		fi, err := entry.Info()
		if err != nil {
			return err
		}
		if !fi.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", path)
		}
		if size += fi.Size(); size > maxApply {
			return fmt.Errorf("the files have more than %d MiB", maxApply>>20)
		}
		data, err := regular.ReadFile(path, maxApply)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files = append(files, control.ApplyFile{Path: "/" + name, Mode: fi.Mode().Perm() & 0o640, Data: data})
		return nil
	})
	if err == nil && len(files) == 0 {
		err = errors.New("the directory has no files")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot apply %s: %w", dir, err)
	}
	return files, nil
}
