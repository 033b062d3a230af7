// Package revision is what a rollout brings to the nodes, as data: what each node must contain, and how bake and the agents
// name it and speak about it.
package revision

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"time"
)

// Format is the version of the messages and of the files that this program writes and understands.
const Format = 1

// Ref names a revision. The zero Ref is that of a node that no rollout has reached: it runs what its image and its first boot
// brought.
type Ref struct {
	Number int    `json:"number"`
	ID     string `json:"id,omitempty"` // SHA-256 of the header, in hexadecimal
}

func (r Ref) String() string {
	if r.Number == 0 {
		return "revision 0"
	}
	return fmt.Sprintf("revision %d (%.12s)", r.Number, r.ID)
}

// Header is what all nodes know of a revision.
type Header struct {
	Format  int       `json:"format"`
	Cluster string    `json:"cluster"`
	Number  int       `json:"number"` // one more than the highest that a node runs
	Created time.Time `json:"created"`
	By      string    `json:"by,omitempty"` // who made it, for people: user@host
	// Token is 32 random bytes. The nodes prove with it that they are nodes of this revision.
	Token []byte   `json:"token"`
	Nodes []Member `json:"nodes"` // in the order of the spec
}

// Member is a node of a revision.
type Member struct {
	Name      string       `json:"name"`
	Addresses []netip.Addr `json:"addresses"`
	// Predecessor is the ID of the revision that the node must run; empty: none was ever rolled out to it.
	Predecessor string `json:"predecessor,omitempty"`
	Content     string `json:"content"` // the digest of its Content
}

// Ref returns the header's name. The token itself has no part in it, only its digest.
func (h Header) Ref() Ref {
	token := sha256.Sum256(h.Token)
	h.Token = token[:]
	return Ref{h.Number, digest(h)}
}

// Member returns a node of the revision.
func (h Header) Member(name string) (Member, bool) {
	i := slices.IndexFunc(h.Nodes, func(m Member) bool { return m.Name == name })
	if i < 0 {
		return Member{}, false
	}
	return h.Nodes[i], true
}

// Content is what a node must contain.
type Content struct {
	Release  string   `json:"release,omitempty"` // the release's name: noble
	Packages []string `json:"packages,omitempty"`
	Hold     []string `json:"hold,omitempty"` // packages that unattended upgrades leave alone
	Users    []User   `json:"users,omitempty"`
	Files    []File   `json:"files"`
	Units    []Unit   `json:"units,omitempty"` // in the order in which they may be started
	Agent    string   `json:"agent,omitempty"` // the digest of the agent's program; empty: it stays as it is
	// FirstBoot is the digest of what only a first boot sets: host name, logins and network.
	FirstBoot string `json:"first_boot,omitempty"`
}

// File is a regular file. Data may be missing where only its digest matters.
type File struct {
	Path   string      `json:"path"` // absolute and clean
	Mode   fs.FileMode `json:"mode"` // permission bits
	Owner  string      `json:"owner"`
	Group  string      `json:"group"`
	Digest string      `json:"digest"` // SHA-256, in hexadecimal
	Data   []byte      `json:"data,omitempty"`
}

// User is a system account without a login.
type User struct {
	Name string `json:"name"`
	Home string `json:"home"`
}

// Unit is a systemd unit and its state: enabled, disabled or masked.
type Unit struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

// Digest returns the digest of a content, which does not depend on whether the files' data is there.
func (c Content) Digest() string { return digest(c.Manifest()) }

// Manifest returns the content without the files' data.
func (c Content) Manifest() Content {
	c.Files = slices.Clone(c.Files)
	for i := range c.Files {
		c.Files[i].Data = nil
	}
	return c
}

// File returns the file of a path.
func (c Content) File(path string) (File, bool) {
	i := slices.IndexFunc(c.Files, func(f File) bool { return f.Path == path })
	if i < 0 {
		return File{}, false
	}
	return c.Files[i], true
}

// Check returns what is wrong with a content that came from outside.
func (c Content) Check() error {
	seen := map[string]bool{}
	for _, f := range c.Files {
		switch {
		case !filepath.IsAbs(f.Path) || filepath.Clean(f.Path) != f.Path:
			return fmt.Errorf("cannot use the revision: %q is not an absolute path", f.Path)
		case seen[f.Path]:
			return fmt.Errorf("cannot use the revision: %q is in it twice", f.Path)
		case f.Mode&^fs.ModePerm != 0:
			return fmt.Errorf("cannot use the revision: %q has mode %v", f.Path, f.Mode)
		case Sum(f.Data) != f.Digest:
			return fmt.Errorf("cannot use the revision: the data of %q does not have its digest", f.Path)
		}
		seen[f.Path] = true
	}
	return nil
}

// Sum returns the SHA-256 of data, in hexadecimal.
func Sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func digest(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // these types have nothing that JSON cannot express
		panic(err)
	}
	return Sum(b)
}
