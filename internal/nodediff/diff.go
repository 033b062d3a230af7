package nodediff

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/hapair/hapair/internal/effect"
	"github.com/hapair/hapair/internal/redact"
	"github.com/hapair/hapair/internal/remote"
)

// Difference is how one node differs.
type Difference struct {
	Node string `json:"node"`
	// Err is why the node could not be compared, and Try what the user can try.
	Err     string          `json:"error,omitempty"`
	Try     string          `json:"way_out,omitempty"`
	Files   []FileDiff      `json:"files"`
	Effects []effect.Effect `json:"effects"` // the most costly ones first
}

// FileDiff is how one file differs.
type FileDiff struct {
	Path   string `json:"path"`
	Change string `json:"change"` // added, removed or changed
	// Meta is a change of mode or owner: "0644 root:root -> 0640 root:haproxy"; empty if there is none.
	Meta string `json:"meta,omitempty"`
	// Diff is a unified diff without secrets; empty if the content is equal, or may not be shown.
	Diff string `json:"diff,omitempty"`
	// Hidden reports whether the content differs and may not be shown.
	Hidden bool `json:"hidden,omitempty"`
}

// Compare returns how each node would change from state a to state b, in the order of b, then nodes that only a has.
func Compare(a, b *State) []Difference {
	var all []Difference
	was := map[string]*Node{}
	for i := range a.Nodes {
		was[a.Nodes[i].Name] = &a.Nodes[i]
	}
	for i := range b.Nodes {
		n := &b.Nodes[i]
		d := Difference{Node: n.Name, Files: []FileDiff{}, Effects: []effect.Effect{}}
		old := was[n.Name]
		delete(was, n.Name)
		switch {
		case old == nil:
			d.Effects = append(d.Effects, effect.Effect{Kind: effect.Image, Why: "the node is new"})
		case old.Err != nil:
			d.Err = old.Err.Error()
			if e := (*remote.Error)(nil); errors.As(old.Err, &e) {
				d.Try = e.Try
			}
		default:
			d.compare(old, n)
		}
		all = append(all, d)
	}
	for i := range a.Nodes {
		if name := a.Nodes[i].Name; was[name] != nil {
			all = append(all, Difference{Node: name, Files: []FileDiff{}, Effects: []effect.Effect{{Kind: effect.Image, Why: "the node is removed from the spec"}}})
		}
	}
	return all
}

// Same reports whether the node was compared and does not differ.
func (d *Difference) Same() bool { return d.Err == "" && len(d.Files) == 0 && len(d.Effects) == 0 }

func (d *Difference) compare(old, now *Node) {
	paths := slices.Sorted(maps.Keys(old.Files))
	for path := range now.Files {
		if _, both := old.Files[path]; !both {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	var files []effect.File
	for _, path := range paths {
		o, was := old.Files[path]
		n, is := now.Files[path]
		fd, differs := compareFile(path, o, n, was, is)
		if !differs {
			continue
		}
		d.Files = append(d.Files, fd)
		files = append(files, effect.File{Path: path, Old: bytesOf(o, was), New: bytesOf(n, is), OldMeta: meta(o, n), NewMeta: meta(n, o)})
	}
	effects := append(effect.Of(files), beyondFiles(old, now)...)
	if effects = effect.Merge(effects); effects != nil {
		d.Effects = effects
	}
}

// beyondFiles returns the effects of differences that are not in files.
func beyondFiles(old, now *Node) (effects []effect.Effect) {
	if old.Packages != nil && now.Packages != nil {
		for _, p := range now.Packages {
			if !slices.Contains(old.Packages, p) {
				effects = append(effects, effect.Effect{Kind: effect.Package, Why: p + " is installed"})
			}
		}
		for _, p := range old.Packages {
			if !slices.Contains(now.Packages, p) {
				effects = append(effects, effect.Effect{Kind: effect.Package, Why: p + " is no longer needed"})
			}
		}
	}
	if old.FirstBoot != "" && now.FirstBoot != "" && old.FirstBoot != now.FirstBoot {
		effects = append(effects, effect.Effect{Kind: effect.Image, Why: "host name, logins or network: they are set at the first boot"})
	}
	if old.Release != "" && now.Release != "" && old.Release != now.Release {
		effects = append(effects, effect.Effect{Kind: effect.Image, Why: "release " + old.Release + " -> " + now.Release})
	}
	return effects
}

// bytesOf returns bytes that are equal if the contents are equal; nil if the file does not exist.
func bytesOf(f File, exists bool) []byte {
	switch {
	case !exists:
		return nil
	case f.Hidden:
		return []byte(f.Digest)
	}
	return append([]byte{}, f.Content...)
}

// meta returns the mode and owner of f, as far as both files have them.
func meta(f, other File) string {
	var words []string
	if f.Mode != "" && other.Mode != "" {
		words = append(words, f.Mode)
	}
	if f.Owner != "" && other.Owner != "" {
		words = append(words, f.Owner)
	}
	return strings.Join(words, " ")
}

func compareFile(path string, old, now File, was, is bool) (fd FileDiff, differs bool) {
	fd = FileDiff{Path: path, Change: "changed"}
	switch {
	case !was:
		fd.Change = "added"
	case !is:
		fd.Change = "removed"
	}
	before, after := meta(old, now), meta(now, old)
	if was && is && before != after {
		fd.Meta = before + " -> " + after
	}
	if was && is && old.Digest == now.Digest {
		return fd, fd.Meta != ""
	}
	if old.Hidden || now.Hidden {
		fd.Hidden = true
		return fd, true
	}
	fd.Diff = unified(path, old.Content, now.Content, was, is)
	return fd, true
}

// unified returns a unified diff without secrets. Lines that differ in a secret only are shown as removed and added.
func unified(path string, old, now []byte, was, is bool) string {
	a, b := "a"+path, "b"+path
	if !was {
		a = "/dev/null"
	}
	if !is {
		b = "/dev/null"
	}
	text := string(diff.Diff(a, old, b, now))
	_, text, _ = strings.Cut(text, "\n") // "diff A B", which patch does not need
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "--- ") && !strings.HasPrefix(line, "+++ ") && !strings.HasPrefix(line, "@@") && line != "" {
			line = line[:1] + redact.ConfigLine(line[1:])
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
