// Package outdir marks the folders that a command writes for a cluster's nodes, so that a later run can remove those of
// nodes that the spec no longer has, and nothing else.
package outdir

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/durable"
)

// maxMark bounds what is read of a mark: a node has some 30 files.
const maxMark = 1 << 20

// Mark is the content of a file in a node's folder that lists what was written there. It is the same for equal content.
type Mark struct {
	Cluster string            `json:"cluster"`
	Files   map[string]string `json:"files"` // path below the folder, with "/": SHA-256
}

// NewMark makes the mark of an empty folder.
func NewMark(cluster string) Mark { return Mark{cluster, map[string]string{}} }

// Add lists a file.
func (m Mark) Add(name string, content []byte) {
	m.Files[strings.TrimPrefix(filepath.ToSlash(name), "/")] = digest(content)
}

// Write writes the mark to a folder, under a name.
func (m Mark) Write(folder, name string) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot mark %s: %w", folder, err)
	}
	return durable.WriteFile(filepath.Join(folder, name), append(data, '\n'), 0o600, durable.Keep, durable.Keep)
}

// readMark reads a mark. One that older versions left is empty: what they wrote is not known.
func readMark(root *os.Root, name string) (m Mark, ok bool) {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxMark {
		return m, false
	}
	data, err := root.ReadFile(name)
	if err != nil || json.Unmarshal(data, &m) != nil {
		return m, false
	}
	return m, true
}

// Removed is a folder of a node that the spec no longer has.
type Removed struct {
	Folder string
	Files  int      // that were removed
	Left   []string // files that bake did not write, or that have changed since
}

// Sweep removes, in each subfolder of dir that holds a mark of the cluster and that stays reports false for, the files that
// the mark lists, unless they have changed. The folder goes too if nothing is left in it.
func Sweep(dir, markName, cluster string, stays func(folder string) bool) ([]Removed, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot look for folders of nodes that the spec no longer has: %w", err)
	}
	var out []Removed
	for _, entry := range entries {
		if !entry.IsDir() || stays(entry.Name()) {
			continue
		}
		r, err := sweep(filepath.Join(dir, entry.Name()), markName, cluster)
		if err != nil {
			return out, err
		}
		if r != nil {
			out = append(out, *r)
		}
	}
	return out, nil
}

func sweep(folder, markName, cluster string) (*Removed, error) {
	root, err := os.OpenRoot(folder) // nothing outside is touched, whatever the mark says and links lead to
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil // somebody else's
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", folder, err)
	}
	defer root.Close()
	m, ok := readMark(root, markName)
	if !ok || m.Cluster != cluster {
		return nil, nil
	}
	r := &Removed{Folder: folder}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		if err := r.remove(root, name, m.Files[name]); err != nil {
			return nil, err
		}
	}
	if err := root.Remove(markName); err != nil {
		return nil, fmt.Errorf("cannot remove what an earlier run wrote: %w", err)
	}
	_ = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			r.Left = append(r.Left, filepath.Join(folder, filepath.FromSlash(name)))
		}
		return nil
	})
	if len(r.Left) == 0 {
		_ = os.Remove(folder) // unless it holds empty folders of somebody else's
	}
	return r, nil
}

// remove removes a file as it was written, and the folders that become empty.
func (r *Removed) remove(root *os.Root, name, want string) error {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil // gone, or something else stands there
	}
	data, err := root.ReadFile(name)
	if err != nil {
		return fmt.Errorf("cannot read what an earlier run wrote: %w", err)
	}
	if digest(data) != want {
		return nil
	}
	if err := root.Remove(name); err != nil {
		return fmt.Errorf("cannot remove what an earlier run wrote: %w", err)
	}
	r.Files++
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if root.Remove(dir) != nil {
			break // not empty
		}
	}
	return nil
}

func digest(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }

// String describes what was removed and what was not.
func (r Removed) String() string {
	files := fmt.Sprintf("%d files", r.Files)
	if r.Files == 1 {
		files = "1 file"
	}
	text := fmt.Sprintf("removed %s, %s of an earlier run: the spec no longer has this node", r.Folder, files)
	if len(r.Left) == 0 {
		return text
	}
	text = fmt.Sprintf("removed %s of an earlier run from %s: the spec no longer has this node; left %s, which bake did not write or somebody has changed",
		files, r.Folder, strings.Join(r.Left[:min(len(r.Left), 3)], ", "))
	if more := len(r.Left) - 3; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}
