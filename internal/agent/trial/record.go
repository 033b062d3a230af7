package trial

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/units"
)

// A trial writes the agent's program and units as plain files, so that it can take them back at any time. When they are
// confirmed on a node that has the agent from its Debian package, the package that bake has brought is installed over them: it
// has the same files, and from then on dpkg's record is true again.

// sums is dpkg's list of the files of the agent's package.
const sums = "/var/lib/dpkg/info/ha-agent.md5sums"

// recorded returns the MD5 of the agent's program that dpkg has recorded; empty: it is from no package.
func recorded() (string, error) {
	data, err := regular.ReadFile(sums, regular.MaxState)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read what dpkg has recorded of the agent: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if sum, path, ok := strings.Cut(strings.TrimSpace(line), "  "); ok && "/"+path == wellknown.Agent {
			return sum, nil
		}
	}
	return "", nil
}

// isPackaged reports whether a file is of the agent's package on this machine. The package keeps those of parts that the spec
// does not use, and their units are disabled.
func isPackaged(path string) bool {
	sum, err := recorded()
	return err == nil && sum != "" && slices.ContainsFunc(units.Packaged(), func(f units.File) bool { return f.Path == path })
}

// addPackage keeps the package of a program of the agent.
func (s *Store) addPackage(digest string, data []byte) error {
	if err := os.MkdirAll(s.path("agents"), 0o700); err != nil {
		return fmt.Errorf("cannot keep the package of ha-agent: %w", err)
	}
	return durable.WriteFile(s.packageOf(digest), data, 0o600, durable.Keep, durable.Keep)
}

// packageOf is where the package of a program of the agent is kept.
func (s *Store) packageOf(digest string) string { return s.program(digest) + ".deb" }

// How often dpkg is tried: another program may use its database.
const (
	recordTries = 20
	recordEvery = 3 * time.Second
)

// record has dpkg record the agent of a confirmed revision. A node that has it from no package is left alone, and so is one whose
// package bake has not brought.
func (s *Supervisor) record(ctx context.Context, t *Trial) error {
	to, err := s.Store.content(t.Content)
	if err != nil || to.Agent == "" {
		return err
	}
	was, err := recorded()
	if err != nil || was == "" {
		return err
	}
	is, err := sumFile(wellknown.Agent, md5.New())
	if err != nil || is == was {
		return err
	}
	pkg := s.Store.packageOf(to.Agent)
	if _, err := os.Stat(pkg); err != nil {
		return fmt.Errorf("dpkg has recorded another ha-agent: its package was not brought: %w", err)
	}
	a := &application{Machine: s.Machine}
	for range recordTries {
		// The daemon runs on these files already: the package's script must not restart it.
		err = a.command(ctx, commandTime, "env", "HAPAIR_ROLLOUT=1", "DEBIAN_FRONTEND=noninteractive",
			"dpkg", "--force-confdef", "--force-confold", "--install", pkg)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(recordEvery):
		}
	}
	return fmt.Errorf("dpkg's record of ha-agent is old: %w", err)
}

// keepPackage keeps the package that a request brings.
func (s *Server) keepPackage(req revision.Request) error {
	if len(req.Package) == 0 || len(req.Digest) != 64 || strings.ContainsAny(req.Digest, "/.") {
		return errors.New("the request is not complete")
	}
	return s.Store.addPackage(req.Digest, req.Package)
}
