package trial

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/units"
)

// absent is the state of a unit that systemd does not know.
const absent = "absent"

// onDisk returns the file of a path as it lies there. A missing file is an fs.ErrNotExist.
func onDisk(path string) (revision.File, error) {
	data, fi, err := regular.ReadFileInfo(path, regular.MaxConfig)
	if err != nil {
		return revision.File{}, err
	}
	f := revision.File{Path: path, Mode: fi.Mode().Perm(), Digest: revision.Sum(data), Data: data}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		f.Owner, f.Group = userName(st.Uid), groupName(st.Gid)
	}
	return f, nil
}

// userName is the name of an account, or its number if it has none.
func userName(uid uint32) string {
	id := strconv.Itoa(int(uid))
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid uint32) string {
	id := strconv.Itoa(int(gid))
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

// owner returns the numbers of a file's owner and group.
func owner(f revision.File) (uid, gid int, err error) {
	if uid, err = strconv.Atoi(f.Owner); err != nil {
		u, lookup := user.Lookup(f.Owner)
		if lookup != nil {
			return 0, 0, fmt.Errorf("cannot give %s to %q: %w", f.Path, f.Owner, lookup)
		}
		if uid, err = strconv.Atoi(u.Uid); err != nil {
			return 0, 0, fmt.Errorf("cannot give %s to %q: %w", f.Path, f.Owner, err)
		}
	}
	if gid, err = strconv.Atoi(f.Group); err != nil {
		g, lookup := user.LookupGroup(f.Group)
		if lookup != nil {
			return 0, 0, fmt.Errorf("cannot give %s to group %q: %w", f.Path, f.Group, lookup)
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			return 0, 0, fmt.Errorf("cannot give %s to group %q: %w", f.Path, f.Group, err)
		}
	}
	return uid, gid, nil
}

// difference is how a file of a content differs from the disk.
type difference int

const (
	same difference = iota
	isNew
	otherBytes
	otherOwner // owner, group or mode
)

func differs(f revision.File) (difference, error) {
	now, err := onDisk(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return isNew, nil
	case errors.Is(err, regular.ErrUnusable):
		return otherBytes, nil
	case err != nil:
		return same, err
	case now.Digest != f.Digest:
		return otherBytes, nil
	case now.Owner != f.Owner || now.Group != f.Group || now.Mode != f.Mode:
		return otherOwner, nil
	}
	return same, nil
}

// ours are the paths that a rollout may remove if its content does not have them: those of the current revision, or, if none
// was ever rolled out, those that hapair ships.
func ours(current *revision.Content) []string {
	var paths []string
	if current != nil {
		for _, f := range current.Files {
			paths = append(paths, f.Path)
		}
		return paths
	}
	paths = append(paths, units.Former()...)
	_, err := os.Lstat(wellknown.HAProxySockets)
	for _, f := range units.All(units.Features{Node: true, Firewall: true, Certificates: true}) {
		if f.Path == wellknown.HAProxyDefaults && err != nil {
			continue // it is the package's
		}
		paths = append(paths, f.Path)
	}
	return paths
}

// removed are the paths that are there, and that a content no longer has. What the trial itself needs stays.
func removed(paths []string, to revision.Content) []string {
	var all []string
	for _, p := range paths {
		if _, has := to.File(p); has || isTrials(p) || isPackaged(p) {
			continue
		}
		if _, err := os.Lstat(p); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// isShipped reports whether hapair ships a file on its own account, and not because a spec names it.
func isShipped(path string) bool {
	all := units.All(units.Features{Node: true, Firewall: true, Certificates: true})
	return slices.Contains(units.Former(), path) || slices.ContainsFunc(all, func(f units.File) bool { return f.Path == path })
}

// isTrials reports whether a file belongs to the trial itself, without which it could not come to an end.
func isTrials(path string) bool {
	return slices.ContainsFunc(units.Revision(), func(f units.File) bool { return f.Path == path })
}

// capture keeps what is there of the paths and units that a content has, and of those that it takes away.
func (s *Store) capture(ctx context.Context, run validator.Runner, paths []string, to revision.Content) (revision.Content, error) {
	var before revision.Content
	for _, f := range to.Files {
		paths = append(paths, f.Path)
	}
	slices.Sort(paths)
	for _, p := range slices.Compact(paths) {
		f, err := onDisk(p)
		if errors.Is(err, fs.ErrNotExist) || isTrials(p) {
			continue
		}
		if err != nil {
			return before, fmt.Errorf("cannot keep %s: %w", p, err)
		}
		before.Files = append(before.Files, f)
	}
	for _, u := range to.Units {
		before.Units = append(before.Units, revision.Unit{Name: u.Name, State: unitState(ctx, run, u.Name)})
	}
	var err error
	before.Agent, err = s.KeepProgram(wellknown.Agent)
	return before, err
}

// unitState is enabled, disabled, masked or absent.
func unitState(ctx context.Context, run validator.Runner, unit string) string {
	r, err := run(ctx, "systemctl", "is-enabled", "--", unit)
	word := strings.TrimSpace(r.Output)
	switch {
	case err != nil:
		return absent
	case strings.HasPrefix(word, "enabled"):
		return "enabled"
	case strings.HasPrefix(word, "masked"):
		return "masked"
	case r.Status == 0, strings.HasPrefix(word, "disabled"):
		return "disabled"
	}
	return absent
}

// KeepProgram keeps a program of the agent, and returns its digest.
func (s *Store) KeepProgram(path string) (string, error) {
	d, err := fileDigest(path)
	if err != nil {
		return "", fmt.Errorf("cannot keep %s: %w", path, err)
	}
	if have, err := fileDigest(s.program(d)); err == nil && have == d {
		return d, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot keep %s: %w", path, err)
	}
	return s.AddProgram(data)
}

// AddProgram keeps a program of the agent, and returns its digest.
func (s *Store) AddProgram(data []byte) (string, error) {
	if err := os.MkdirAll(s.path("agents"), 0o700); err != nil {
		return "", fmt.Errorf("cannot keep a program of the agent: %w", err)
	}
	d := revision.Sum(data)
	return d, durable.WriteFile(s.program(d), data, 0o700, durable.Keep, durable.Keep)
}

// program is where a program of the agent is kept.
func (s *Store) program(digest string) string { return s.path("agents", digest) }

// fileDigest returns the SHA-256 of a file, as revisions name programs.
func fileDigest(path string) (string, error) { return sumFile(path, sha256.New()) }

// sumFile returns the sum of a file, in hexadecimal.
func sumFile(path string, h hash.Hash) (string, error) {
	f, err := regular.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// missingPackages are those of a content that are not installed.
func missingPackages(ctx context.Context, run validator.Runner, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	r, err := run(ctx, "dpkg-query", append([]string{"-W", "-f", "${Package} ${db:Status-Status}\n", "--"}, names...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot list the packages: %w", err)
	}
	installed := map[string]bool{}
	for line := range strings.Lines(r.Output) {
		if name, ok := strings.CutSuffix(strings.TrimSpace(line), " installed"); ok {
			installed[name] = true
		}
	}
	var missing []string
	for _, n := range names {
		if !installed[n] {
			missing = append(missing, n)
		}
	}
	return missing, nil
}
