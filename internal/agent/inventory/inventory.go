// Package inventory lists what is on a node, for a comparison with what should be there: files, packages and the release.
// Contents of files that hold private keys, and of files that only some users may read, never leave the node, except for the
// configuration of haproxy and keepalived.
package inventory

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/hapair/hapair/internal/dpkg"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/wellknown"
)

// Request names what is asked for.
type Request struct {
	Paths    []string `json:"paths"`    // absolute
	Packages []string `json:"packages"` // names
}

// MaxPaths is the largest number of paths in a request.
const MaxPaths = 10000

// Inventory is what is on the node.
type Inventory struct {
	Release  string            `json:"release"`  // the release's name, such as noble; empty if unknown
	Files    []File            `json:"files"`    // in the order of the request
	Packages map[string]string `json:"packages"` // versions of the installed ones, by name
}

// File is a file of the node.
type File struct {
	Path string `json:"path"`
	// Missing reports whether the file does not exist. The other fields are then empty.
	Missing bool   `json:"missing,omitempty"`
	Why     string `json:"why,omitempty"`    // why the file could not be read
	Mode    string `json:"mode,omitempty"`   // "0640"
	Owner   string `json:"owner,omitempty"`  // "root:haproxy"
	Digest  string `json:"digest,omitempty"` // SHA-256, in hexadecimal
	// Shown reports whether the content is in Content. If not, it may hold a secret, or it is longer than MaxShown.
	Shown   bool   `json:"shown,omitempty"`
	Content []byte `json:"content,omitempty"`
}

// MaxShown is the largest content, in bytes, that is shown.
const MaxShown = 1 << 20

// maxFile is the largest file, in bytes, that is read: the agent's own program has about 15 MiB.
const maxFile = 64 << 20

// maxAll bounds all contents together, in bytes. In base64 they must fit into what bake accepts.
const maxAll = 10 << 20

// List returns the inventory of the machine whose files are below root ("/").
func List(root string, req Request) (*Inventory, error) {
	if len(req.Paths) > MaxPaths {
		return nil, fmt.Errorf("cannot list %d files: at most %d are allowed", len(req.Paths), MaxPaths)
	}
	inv := &Inventory{Release: release(root), Packages: map[string]string{}}
	all := 0
	for _, p := range req.Paths {
		if !filepath.IsAbs(p) || filepath.Clean(p) != p {
			return nil, fmt.Errorf("cannot list %q: it is not an absolute path", p)
		}
		f := file(root, p)
		if all += len(f.Content); all > maxAll {
			f.Shown, f.Content = false, nil
		}
		inv.Files = append(inv.Files, f)
	}
	if len(req.Packages) > 0 {
		if err := inv.packages(root, req.Packages); err != nil {
			return nil, err
		}
	}
	return inv, nil
}

func file(root, p string) File {
	f := File{Path: p}
	at := filepath.Join(root, p)
	content, err := regular.ReadFile(at, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Missing = true
		return f
	case err != nil:
		f.Why = err.Error()
		return f
	}
	fi, err := os.Stat(at)
	if err != nil {
		f.Why = err.Error()
		return f
	}
	f.Mode, f.Owner = fmt.Sprintf("%#o", fi.Mode().Perm()), owner(fi)
	sum := sha256.Sum256(content)
	f.Digest = hex.EncodeToString(sum[:])
	if len(content) <= MaxShown && Showable(p, fi.Mode(), content) {
		f.Shown, f.Content = true, content
	}
	return f
}

// Showable reports whether a file's content may be shown, after secrets in its lines were hidden: every user of the node may
// read it and it holds no private key, or it is a configuration whose secrets are known by their keywords.
func Showable(path string, mode fs.FileMode, content []byte) bool {
	if bytes.Contains(content, []byte("PRIVATE KEY")) || bytes.IndexByte(content, 0) >= 0 {
		return false
	}
	configs := []string{wellknown.HAProxyConfig, wellknown.HAProxySockets, wellknown.KeepalivedConfig, wellknown.FirewallRules}
	return mode&0o004 != 0 || slices.Contains(configs, path)
}

// owner returns the names of the owner and group, or their numbers if they have no names.
func owner(fi fs.FileInfo) string {
	s, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	uid, gid := strconv.Itoa(int(s.Uid)), strconv.Itoa(int(s.Gid))
	if u, err := user.LookupId(uid); err == nil {
		uid = u.Username
	}
	if g, err := user.LookupGroupId(gid); err == nil {
		gid = g.Name
	}
	return uid + ":" + gid
}

// release returns VERSION_CODENAME of os-release(5), or "" if it cannot be read.
func release(root string) string {
	data, err := regular.ReadFile(filepath.Join(root, "etc/os-release"), regular.MaxConfig)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(name, `"'`)
		}
	}
	return ""
}

func (inv *Inventory) packages(root string, names []string) error {
	f, err := os.Open(filepath.Join(root, "var/lib/dpkg/status"))
	if err != nil {
		return fmt.Errorf("cannot list the packages: %w", err)
	}
	defer f.Close()
	installed, err := dpkg.Installed(f)
	if err != nil {
		return fmt.Errorf("cannot list the packages: %w", err)
	}
	for _, p := range installed {
		if slices.Contains(names, p.Name) {
			inv.Packages[p.Name] = p.Version
		}
	}
	return nil
}
