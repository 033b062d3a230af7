// Package audit compares images by their manifests, and checks the signature of a manifest.
package audit

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/hapair/hapair/internal/dpkg"
	"github.com/hapair/hapair/internal/image"
)

// Change is one difference between two images.
type Change struct {
	Kind   string `json:"kind"` // for example package, file or unit
	Name   string `json:"name"`
	Change string `json:"change"`         // added, removed or changed; for a package also upgraded or downgraded
	From   string `json:"from,omitempty"` // empty if it was added
	To     string `json:"to,omitempty"`   // empty if it was removed
}

func (c Change) String() string {
	what := strings.TrimSpace(c.Kind + " " + c.Name)
	switch {
	case c.From == "":
		return fmt.Sprintf("%s: %s: %s", what, c.Change, c.To)
	case c.To == "":
		return fmt.Sprintf("%s: %s: %s", what, c.Change, c.From)
	}
	return fmt.Sprintf("%s: %s: %s -> %s", what, c.Change, c.From, c.To)
}

// fact identifies one value of a manifest.
type fact struct{ kind, name string }

// Compare returns the differences from manifest a to manifest b. It ignores the digests of the image file and of the list of
// software, because these differ between images with equal files. It ignores values that an older version did not record in
// one of the manifests.
func Compare(a, b *image.Manifest) []Change {
	left, right := facts(a), facts(b)
	skip(a, b, left, right)
	all := maps.Clone(left)
	maps.Copy(all, right)
	var changes []Change
	for f := range all {
		from, before := left[f]
		to, after := right[f]
		if before == after && from == to {
			continue
		}
		changes = append(changes, Change{Kind: f.kind, Name: f.name, Change: change(f, before, after, from, to), From: from, To: to})
	}
	slices.SortFunc(changes, func(x, y Change) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, x.Kind), slices.Index(kinds, y.Kind)), cmp.Compare(x.Name, y.Name))
	})
	return changes
}

func change(f fact, before, after bool, from, to string) string {
	switch {
	case !before:
		return "added"
	case !after:
		return "removed"
	case f.kind == "package" && dpkg.Compare(from, to) < 0:
		return "upgraded"
	case f.kind == "package" && dpkg.Compare(from, to) > 0:
		return "downgraded"
	}
	return "changed"
}

// kinds are the kinds of changes, in the order of the output.
var kinds = []string{"release", "format", "size", "hapair", "base", "base digest", "snapshot", "input", "package", "file", "unit", "sysctl", "account"}

// facts returns a manifest's values by kind and name.
func facts(m *image.Manifest) map[fact]string {
	all := map[fact]string{}
	set := func(kind, name, value string) {
		if value != "" {
			all[fact{kind, name}] = value
		}
	}
	set("release", "", m.Release)
	set("format", "", string(m.Format))
	set("size", "", fmt.Sprintf("%d bytes", m.Size))
	set("hapair", "", m.Version)
	set("base", "", m.Base.Source)
	set("base digest", "", m.Base.Digest)
	set("snapshot", "", m.Snapshot)
	for name, value := range m.Inputs {
		set("input", name, value)
	}
	for name, value := range m.Packages {
		set("package", name, value)
	}
	for name, f := range m.Files {
		set("file", name, describe(f))
	}
	for name, value := range m.Units {
		set("unit", name, value)
	}
	for name, value := range m.Sysctls {
		all[fact{"sysctl", name}] = cmp.Or(value, `""`)
	}
	for name, a := range m.Accounts {
		set("account", name, fmt.Sprintf("UID %s, group %s, home %s, shell %s", a.UID, a.Group, a.Home, a.Shell))
	}
	return all
}

func describe(f image.File) string {
	if f.Mode == "" {
		return f.Digest
	}
	return fmt.Sprintf("%s %s:%s %s", f.Mode, f.Owner, f.Group, f.Digest)
}

// skip removes values that only one of the manifests can contain.
func skip(a, b *image.Manifest, left, right map[fact]string) {
	drop := func(kind string) {
		for _, side := range []map[fact]string{left, right} {
			maps.DeleteFunc(side, func(f fact, _ string) bool { return f.kind == kind })
		}
	}
	if a.Units == nil || b.Units == nil {
		drop("unit")
	}
	if a.Sysctls == nil || b.Sysctls == nil {
		drop("sysctl")
	}
	if a.Accounts == nil || b.Accounts == nil {
		drop("account")
	}
	// An image without a manifest does not contain its inputs.
	if a.Version == "" || b.Version == "" {
		for _, kind := range []string{"hapair", "base", "base digest", "snapshot", "input"} {
			drop(kind)
		}
	}
	for name, f := range a.Files {
		if g, ok := b.Files[name]; ok && (f.Mode == "" || g.Mode == "") {
			left[fact{"file", name}], right[fact{"file", name}] = f.Digest, g.Digest
		}
	}
}

// Words writes the changes for people, one line each. For a file it writes only the parts that changed.
func Words(w io.Writer, changes []Change) error {
	for _, c := range changes {
		for _, part := range parts(c) {
			if _, err := fmt.Fprintln(w, part); err != nil {
				return err
			}
		}
	}
	return nil
}

// parts splits the change of a file into changes of mode, owner and content.
func parts(c Change) []Change {
	from, to := strings.Fields(c.From), strings.Fields(c.To)
	if c.Kind != "file" || len(from) != 3 || len(to) != 3 {
		return []Change{c}
	}
	var list []Change
	for i, name := range []string{"mode", "owner", "content"} {
		if from[i] != to[i] {
			list = append(list, Change{Kind: c.Kind, Name: c.Name, Change: name + " changed", From: from[i], To: to[i]})
		}
	}
	return list
}

// Unified returns a unified diff of both manifests' facts, with the given names. It returns nothing for equal manifests.
func Unified(nameA string, a *image.Manifest, nameB string, b *image.Manifest) []byte {
	left, right := facts(a), facts(b)
	skip(a, b, left, right)
	return diff.Diff(nameA, lines(left), nameB, lines(right))
}

func lines(all map[fact]string) []byte {
	keys := slices.SortedFunc(maps.Keys(all), func(x, y fact) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, x.kind), slices.Index(kinds, y.kind)), cmp.Compare(x.name, y.name))
	})
	var b strings.Builder
	for _, f := range keys {
		fmt.Fprintln(&b, strings.TrimSpace(f.kind+" "+f.name)+": "+all[f])
	}
	return []byte(b.String())
}
