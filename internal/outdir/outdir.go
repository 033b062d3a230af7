// Package outdir marks the folders that a command writes for the nodes of a cluster, so that a later run can remove the
// folders of nodes that are no longer in the spec, and nothing else.
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

// maxMark is the maximum size of a mark in bytes. A node has about 30 files.
const maxMark = 1 << 20

// Mark is the content of a file in a node's folder that lists the files written there. The same files give the same mark.
type Mark struct {
	Cluster string            `json:"cluster"`
	Files   map[string]string `json:"files"` // SHA-256 by path below the folder, with "/"
}

// NewMark returns the mark of an empty folder.
func NewMark(cluster string) Mark { return Mark{cluster, map[string]string{}} }

// Add adds a file to the mark.
func (m Mark) Add(name string, content []byte) {
	m.Files[strings.TrimPrefix(filepath.ToSlash(name), "/")] = digest(content)
}

// Write writes the mark to a file of a folder.
func (m Mark) Write(folder, name string) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot mark %s: %w", folder, err)
	}
	return durable.WriteFile(filepath.Join(folder, name), append(data, '\n'), 0o600, durable.Keep, durable.Keep)
}

// readMark reads a mark. The mark of an older version is empty, so the files of that version are unknown.
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

// Removed describes what was removed from the folder of a node that is no longer in the spec.
type Removed struct {
	Folder string
	Files  int      // number of removed files
	Left   []string // files that bake did not write, or that have changed since
}

// Sweep goes through the subfolders of dir with a mark of the cluster for which stays returns false. It removes the files
// that the mark lists, unless they have changed, and then the folder if it is empty.
func Sweep(dir, markName, cluster string, stays func(folder string) bool) ([]Removed, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot search for folders of removed nodes: %w", err)
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
	root, err := os.OpenRoot(folder) // files outside cannot be touched, whatever the mark contains and wherever links lead
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil // the folder belongs to something else
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
		return nil, fmt.Errorf("cannot remove files of an earlier run: %w", err)
	}
	_ = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			r.Left = append(r.Left, filepath.Join(folder, filepath.FromSlash(name)))
		}
		return nil
	})
	if len(r.Left) == 0 {
		_ = os.Remove(folder) // fails if it contains other folders
	}
	return r, nil
}

// remove removes a file if it has not changed, and folders that become empty.
func (r *Removed) remove(root *os.Root, name, want string) error {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil // it is gone, or is not a regular file any more
	}
	data, err := root.ReadFile(name)
	if err != nil {
		return fmt.Errorf("cannot read a file of an earlier run: %w", err)
	}
	if digest(data) != want {
		return nil
	}
	if err := root.Remove(name); err != nil {
		return fmt.Errorf("cannot remove a file of an earlier run: %w", err)
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

// String describes what was removed and what was kept.
func (r Removed) String() string {
	files := fmt.Sprintf("%d files", r.Files)
	if r.Files == 1 {
		files = "1 file"
	}
	text := fmt.Sprintf("removed %s, %s of an earlier run: the node is no longer in the spec", r.Folder, files)
	if len(r.Left) == 0 {
		return text
	}
	text = fmt.Sprintf("removed %s of an earlier run from %s: the node is no longer in the spec; kept %s, which bake did not write or which has changed",
		files, r.Folder, strings.Join(r.Left[:min(len(r.Left), 3)], ", "))
	if more := len(r.Left) - 3; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}
