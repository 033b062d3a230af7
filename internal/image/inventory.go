package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/dpkg"
	"github.com/hapair/hapair/internal/sysctl"
	"github.com/hapair/hapair/internal/termsafe"
)

// File is a file that was added to an image, in its final state.
type File struct {
	Digest string `json:"digest"`          // "sha256:…" of its content
	Mode   string `json:"mode,omitempty"`  // four octal digits, such as "0640"
	Owner  string `json:"owner,omitempty"` // the user's name, or UID if it has no name in the image
	Group  string `json:"group,omitempty"` // the same for the group
}

// UnmarshalJSON decodes a file of a manifest. Older versions wrote only the digest.
func (f *File) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		*f = File{}
		return json.Unmarshal(b, &f.Digest)
	}
	type plain File
	return json.Unmarshal(b, (*plain)(f))
}

// Account is a user account of an image.
type Account struct {
	UID   string `json:"uid"`
	Group string `json:"group"` // the name or GID of the primary group
	Home  string `json:"home"`
	Shell string `json:"shell"`
}

// stock describes the system of an image, as read from its files without running its programs.
type stock struct {
	codename  string
	installed []dpkg.Package
	units     map[string]string
	sysctls   map[string]string
	accounts  map[string]Account
}

// take reads the files of an image. Missing files are not an error: such a system has no packages, units or accounts.
func (t tree) take() (s stock, err error) {
	if s.codename, err = t.codename(); err != nil {
		return s, err
	}
	status, err := t.read(dpkg.Status)
	if err != nil {
		return s, fmt.Errorf("cannot read the image's packages: %w", err)
	}
	if s.installed, err = dpkg.Installed(bytes.NewReader(status)); err != nil {
		return s, fmt.Errorf("cannot read the image's packages: %w", err)
	}
	if s.units, err = t.units(); err != nil {
		return s, fmt.Errorf("cannot read the image's units: %w", err)
	}
	if s.sysctls, err = t.sysctls(); err != nil {
		return s, fmt.Errorf("cannot read the image's sysctls: %w", err)
	}
	if s.accounts, err = t.accounts(); err != nil {
		return s, fmt.Errorf("cannot read the image's accounts: %w", err)
	}
	return s, nil
}

// codename returns the codename of the image's release.
func (t tree) codename() (string, error) {
	b, err := t.read("/etc/os-release")
	if err != nil {
		return "", fmt.Errorf("cannot read the image's os-release: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return termsafe.Line(strings.Trim(name, `"'`)), nil
		}
	}
	return "", nil
}

// packages returns the versions of the packages by name.
func (s stock) packages() map[string]string {
	packages := map[string]string{}
	for _, p := range s.installed {
		packages[p.ID()] = p.Version
	}
	return packages
}

const systemUnits = "/etc/systemd/system"

// units returns the units that are masked (a link to /dev/null) or enabled (a link in a .wants or .requires directory of
// another unit) in /etc/systemd/system; see systemctl(1).
func (t tree) units() (map[string]string, error) {
	names, err := t.Names(systemUnits)
	if missing(err) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	units := map[string]string{}
	for _, name := range names {
		at := path.Join(systemUnits, name)
		if target, err := t.readlink(at); err == nil {
			if target == "/dev/null" {
				units[name] = "masked"
			}
			continue
		}
		if ext := path.Ext(name); ext != ".wants" && ext != ".requires" && ext != ".upholds" {
			continue
		}
		wanted, err := t.Names(at)
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, unit := range wanted {
			if units[unit] == "" {
				units[unit] = "enabled"
			}
		}
	}
	return units, nil
}

// sysctls returns the settings of all files of sysctl.d, with the precedence of systemd-sysctl: files are sorted by name
// regardless of their directory, a file in /etc hides one of the same name elsewhere, and a later line overrides an earlier
// one.
func (t tree) sysctls() (map[string]string, error) {
	files := map[string]string{} // name: path
	for _, dir := range []string{"/usr/lib/sysctl.d", "/usr/local/lib/sysctl.d", "/etc/sysctl.d"} {
		names, err := t.Names(dir)
		if err != nil && !missing(err) {
			return nil, err
		}
		for _, name := range names {
			if strings.HasSuffix(name, ".conf") {
				files[name] = path.Join(dir, name)
			}
		}
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	settings := map[string]string{}
	for _, name := range names {
		b, err := t.read(files[name])
		if err != nil {
			return nil, err
		}
		readSysctls(string(b), settings)
	}
	return settings, nil
}

// readSysctls parses one file. It ignores lines that cannot be parsed.
func readSysctls(content string, settings map[string]string) {
	all, _ := sysctl.Parse(content)
	for _, s := range all {
		settings[s.Key] = s.Value
		if s.Excluded {
			settings[s.Key] = "(left alone)" // an exception to a pattern
		}
	}
}

// accounts reads /etc/passwd.
func (t tree) accounts() (map[string]Account, error) {
	_, groups, err := t.names()
	if err != nil {
		return nil, err
	}
	b, err := t.read("/etc/passwd")
	if err != nil {
		return nil, err
	}
	accounts := map[string]Account{}
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 7 {
			group := f[3]
			if name, ok := groups[group]; ok {
				group = name
			}
			accounts[f[0]] = Account{UID: f[2], Group: group, Home: f[5], Shell: f[6]}
		}
	}
	return accounts, nil
}

// names returns the users' and the groups' names by UID and GID.
func (t tree) names() (users, groups map[string]string, err error) {
	lists := [2]map[string]string{{}, {}}
	for i, file := range []string{"/etc/passwd", "/etc/group"} {
		b, err := t.read(file)
		if err != nil {
			return nil, nil, err
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Split(line, ":"); len(f) > 3 && lists[i][f[2]] == "" {
				lists[i][f[2]] = f[0]
			}
		}
	}
	return lists[0], lists[1], nil
}

// files describes those of the given files that exist.
func (t tree) files(ctx context.Context, paths []string) (map[string]File, error) {
	users, groups, err := t.names()
	if err != nil {
		return nil, err
	}
	files := map[string]File{}
	for _, p := range paths {
		f, err := t.file(ctx, p)
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the image's %s: %w", p, err)
		}
		if name, ok := users[f.Owner]; ok {
			f.Owner = name
		}
		if name, ok := groups[f.Group]; ok {
			f.Group = name
		}
		files[p] = f
	}
	return files, nil
}

func (t tree) file(ctx context.Context, p string) (File, error) {
	st, err := t.stat(p, true)
	if err != nil {
		return File{}, err
	}
	f, err := t.readFile(p)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, &cancelled{ctx, f}); err != nil {
		return File{}, err
	}
	return File{
		Digest: "sha256:" + hex.EncodeToString(hash.Sum(nil)),
		Mode:   fmt.Sprintf("%04o", st.Mode&0o7777), Owner: fmt.Sprint(st.Uid), Group: fmt.Sprint(st.Gid),
	}, nil
}
