package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hapair/hapair/internal/agent/store"
)

// maxFile bounds a file of a target.
const maxFile = 64 << 20

// snapshot is a target's files as they lie on the disk.
type snapshot struct {
	files   []store.File
	missing []string
	digest  string    // of all paths, bytes and what is missing
	changed time.Time // the latest change of any of them, of its bytes or of its name
}

// read takes a snapshot of files.
func read(paths []string) (snapshot, error) {
	var s snapshot
	sum := sha256.New()
	paths = slices.Compact(slices.Sorted(slices.Values(paths)))
	for _, p := range paths {
		f, changed, err := readFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			s.missing = append(s.missing, p)
			fmt.Fprintf(sum, "missing %q\n", p)
			continue
		}
		if err != nil {
			return snapshot{}, err
		}
		fmt.Fprintf(sum, "%s %q\n", f.Digest, p)
		s.files = append(s.files, f)
		if changed.After(s.changed) {
			s.changed = changed
		}
	}
	s.digest = hex.EncodeToString(sum.Sum(nil))
	return s, nil
}

func readFile(path string) (store.File, time.Time, error) {
	// O_NONBLOCK: a fifo of that name must not stop the agent.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return store.File{}, time.Time{}, fmt.Errorf("cannot read a file of the configuration: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return store.File{}, time.Time{}, fmt.Errorf("cannot read a file of the configuration: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return store.File{}, time.Time{}, fmt.Errorf("cannot read %s: it is no regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return store.File{}, time.Time{}, fmt.Errorf("cannot read a file of the configuration: %w", err)
	}
	if len(data) > maxFile {
		return store.File{}, time.Time{}, fmt.Errorf("cannot read %s: it is larger than %d MiB", path, maxFile>>20)
	}
	sf := store.File{Path: path, Digest: store.Digest(data), Mode: fi.Mode().Perm(), UID: -1, GID: -1, Data: data}
	changed := fi.ModTime()
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		sf.UID, sf.GID = int(st.Uid), int(st.Gid)
		changed = time.Unix(st.Ctim.Unix()) // a rename changes it too, and nobody can set it back
	}
	return sf, changed, nil
}

// digestOf is the digest that a snapshot of exactly these files has.
func digestOf(g store.Good) string {
	sum := sha256.New()
	files := slices.Clone(g.Files)
	slices.SortFunc(files, func(a, b store.File) int { return strings.Compare(a.Path, b.Path) })
	for _, f := range files {
		fmt.Fprintf(sum, "%s %q\n", f.Digest, f.Path)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
