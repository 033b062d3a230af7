package target

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/validator"
)

// Snapshot is the state of a target's files on the disk.
type Snapshot struct {
	Files   []store.File
	Missing []string
	// Unusable are paths of anything but a regular file of limited size, such as a FIFO.
	Unusable []string
	Digest   string    // of all paths and contents, and of missing and unusable files
	Changed  time.Time // the time of the latest change to a content or name
}

// Read takes a Snapshot of files.
func Read(paths []string) (Snapshot, error) {
	var s Snapshot
	sum := sha256.New()
	paths = slices.Compact(slices.Sorted(slices.Values(paths)))
	for _, p := range paths {
		f, changed, err := ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			s.Missing = append(s.Missing, p)
			fmt.Fprintf(sum, "missing %q\n", p)
			continue
		}
		if errors.Is(err, regular.ErrUnusable) {
			s.Unusable = append(s.Unusable, p)
			fmt.Fprintf(sum, "unusable %q %v\n", p, err)
			continue
		}
		if err != nil {
			return Snapshot{}, err
		}
		fmt.Fprintf(sum, "%s %q\n", f.Digest, p)
		s.Files = append(s.Files, f)
		if changed.After(s.Changed) {
			s.Changed = changed
		}
	}
	s.Digest = hex.EncodeToString(sum.Sum(nil))
	return s, nil
}

// Present returns the paths that exist.
func (s Snapshot) Present() []string {
	paths := slices.Clone(s.Unusable)
	for _, f := range s.Files {
		paths = append(paths, f.Path)
	}
	return paths
}

// ReadFile reads one file of a target, and returns the time of its last change.
func ReadFile(path string) (store.File, time.Time, error) {
	data, fi, err := regular.ReadFileInfo(path, regular.MaxConfig)
	if err != nil {
		return store.File{}, time.Time{}, fmt.Errorf("cannot read a file of the configuration: %w", err)
	}
	sf := store.File{Path: path, Digest: store.Digest(data), Mode: fi.Mode().Perm(), UID: -1, GID: -1, Data: data}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		sf.UID, sf.GID = int(st.Uid), int(st.Gid)
	}
	return sf, changeTime(fi), nil
}

// changeTime returns when a file was changed or renamed. Programs cannot set it back.
func changeTime(fi fs.FileInfo) time.Time {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return fi.ModTime()
}

// changeTimes returns when each file was changed, as a text that differs if one was changed, removed or created since.
func changeTimes(paths []string) string {
	var all strings.Builder
	for _, p := range paths {
		if fi, err := os.Stat(p); err == nil {
			fmt.Fprintf(&all, "%d ", changeTime(fi).UnixNano())
		} else {
			all.WriteString("- ")
		}
	}
	return all.String()
}

// DigestOf returns the digest of a Snapshot of exactly these files.
func DigestOf(g store.Good) string {
	sum := sha256.New()
	files := slices.Clone(g.Files)
	slices.SortFunc(files, func(a, b store.File) int { return strings.Compare(a.Path, b.Path) })
	for _, f := range files {
		fmt.Fprintf(sum, "%s %q\n", f.Digest, f.Path)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Judge returns a target's verdict about its files. Files that cannot be read are bad: a validator could hang on them, or
// exhaust the memory.
func Judge(ctx context.Context, t Target) validator.Answer {
	var reasons []string
	for _, p := range t.Paths() {
		if err := regular.Check(p, regular.MaxConfig); errors.Is(err, regular.ErrUnusable) {
			reasons = append(reasons, fmt.Sprintf("cannot %v", err))
		}
	}
	if reasons != nil {
		return validator.Answer{Verdict: validator.Bad, Messages: reasons}
	}
	return t.Validate(ctx)
}
