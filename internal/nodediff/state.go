// Package nodediff compares what nodes are with what a spec makes of them: running nodes, a folder that `bake render` wrote,
// or another spec. Differences of files come with their effects.
package nodediff

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/agent/inventory"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// State is what is known of all nodes of a cluster.
type State struct {
	Nodes []Node // in the order of the spec, or of their names
}

// Node is what is known of a node.
type Node struct {
	Name    string
	Release string          // the release's name; empty if unknown
	Files   map[string]File // by path on the node
	// Packages are the names of packages that must be there, or that are. nil: unknown.
	Packages []string
	// FirstBoot is what only the first boot of a node sets: host name, logins, network. Empty if unknown.
	FirstBoot string
	// Err is why nothing is known of the node; nil otherwise.
	Err error
}

// File is a file of a node.
type File struct {
	Content []byte // nil if Hidden
	Digest  string // SHA-256, in hexadecimal
	Mode    string // "0640"; empty if unknown
	Owner   string // "root:haproxy"; empty if unknown
	Hidden  bool   // the content may hold secrets that no rule finds: only the digest is compared
}

// maxFile is the largest file, in bytes, that is read from a folder.
const maxFile = 64 << 20

// FromSpec returns the state that a spec describes.
func FromSpec(s *spec.Spec, r release.Release) (*State, error) {
	st := &State{}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		rec, err := recipe.Whole(s, n, r)
		if err != nil {
			return nil, err
		}
		node := Node{Name: n.Name, Release: r.Name, Files: map[string]File{}, Packages: append([]string{}, rec.Packages...)}
		for _, f := range rec.Files {
			node.Files[f.Path] = newFile(f.Path, f.Content, f.Mode, f.Owner+":"+f.Group)
		}
		node.FirstBoot = fmt.Sprintf("%q %v", rec.Hostname, rec.Logins)
		if rec.Network != nil {
			node.FirstBoot += fmt.Sprintf(" %v", rec.Network.Config)
		}
		st.Nodes = append(st.Nodes, node)
	}
	return st, nil
}

func newFile(path string, content []byte, mode fs.FileMode, owner string) File {
	f := File{Content: content, Digest: digest(content), Mode: fmt.Sprintf("%#o", mode.Perm()), Owner: owner}
	if len(content) > inventory.MaxShown || !inventory.Showable(path, mode, content) {
		f.Hidden, f.Content = true, nil
	}
	return f
}

// FromFolder returns the state in a folder that `bake render` wrote: DIR/NODE/etc/haproxy/haproxy.cfg. mark is the name of
// the file that marks a node's folder.
func FromFolder(dir, mark string) (*State, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot compare the folder %s: %w", dir, err)
	}
	st := &State{}
	for _, e := range entries {
		folder := filepath.Join(dir, e.Name())
		if _, err := os.Lstat(filepath.Join(folder, mark)); err != nil {
			continue
		}
		n, err := nodeFromFolder(folder, mark)
		if err != nil {
			return nil, fmt.Errorf("cannot compare the folder %s: %w", folder, err)
		}
		st.Nodes = append(st.Nodes, n)
	}
	if len(st.Nodes) == 0 {
		return nil, fmt.Errorf("cannot compare the folder %s: bake render has not written it", dir)
	}
	return st, nil
}

func nodeFromFolder(folder, mark string) (Node, error) {
	n := Node{Name: filepath.Base(folder), Files: map[string]File{}}
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || path == filepath.Join(folder, mark) {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		content, err := regular.ReadFile(path, maxFile)
		if err != nil {
			return err
		}
		name := "/" + strings.TrimPrefix(filepath.ToSlash(strings.TrimPrefix(path, folder)), "/")
		n.Files[name] = newFile(name, content, fi.Mode(), "")
		return nil
	})
	return n, err
}

// FromInventory returns a node as it is. packages are those that were asked for.
func FromInventory(name string, inv *inventory.Inventory) Node {
	n := Node{Name: name, Release: inv.Release, Files: map[string]File{}, Packages: []string{}}
	for _, f := range inv.Files {
		if f.Missing {
			continue
		}
		n.Files[f.Path] = File{Content: f.Content, Digest: f.Digest, Mode: f.Mode, Owner: f.Owner, Hidden: !f.Shown}
		if f.Shown && f.Content == nil {
			n.Files[f.Path] = File{Content: []byte{}, Digest: f.Digest, Mode: f.Mode, Owner: f.Owner}
		}
	}
	for p := range inv.Packages {
		n.Packages = append(n.Packages, p)
	}
	slices.Sort(n.Packages)
	return n
}

// Request returns what to ask a node for, in order to compare it with what it should be.
func (n *Node) Request() inventory.Request {
	req := inventory.Request{Packages: n.Packages}
	for path := range n.Files {
		req.Paths = append(req.Paths, path)
	}
	slices.Sort(req.Paths)
	return req
}
