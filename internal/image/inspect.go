package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/dpkg"
	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/units"
)

// Inspection is the result of inspecting a finished image.
type Inspection struct {
	// Manifest is made from the image itself. Only what the image does not contain is copied from the manifest beside it:
	// the version, the base, the inputs, and the list of files that were added.
	Manifest Manifest
	// Beside is the manifest beside the image, or nil if there is none. BesideText is its text.
	Beside     *Manifest
	BesideText []byte
	// Faults are things that machines with this image would share, or that the machine that made it left behind.
	Faults []string

	name      string
	installed []dpkg.Package
}

// Software returns the list of the image's software as SPDX. Its time is SOURCE_DATE_EPOCH, or the current time if that is
// not set.
func (i *Inspection) Software(getenv func(string) string) ([]byte, error) {
	epoch, err := EpochFromEnv(getenv)
	if err != nil {
		return nil, err
	}
	return software(i.name, i.Manifest, i.installed, epoch)
}

// manifestLimit is the maximum size of a manifest in bytes; one with a thousand packages has 100 kB.
const manifestLimit = 16 << 20

// ParseManifest parses a manifest.
func ParseManifest(b []byte) (*Manifest, error) {
	m := &Manifest{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, err
	}
	if m.Image == "" || m.Packages == nil {
		return nil, errors.New("it is not the manifest of an image: the image's digest or its packages are missing")
	}
	return m, nil
}

// ReadManifest reads the manifest at a path, and also returns its text.
func ReadManifest(path string) (*Manifest, []byte, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the manifest: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, manifestLimit+1))
	if err == nil && len(b) > manifestLimit {
		err = fmt.Errorf("it has more than %d bytes", manifestLimit)
	}
	var m *Manifest
	if err == nil {
		m, err = ParseManifest(b)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the manifest %s: %w", path, err)
	}
	return m, b, nil
}

// IsManifest reports whether a file begins like a manifest and not like a disk.
func IsManifest(path string) (bool, error) {
	f, err := openRegular(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	b := make([]byte, 64)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return bytes.HasPrefix(bytes.TrimLeft(b[:n], " \t\r\n"), []byte("{")), nil
}

// Inspect opens a finished image read-only and reads its files. It runs none of its programs and does not change it. An
// image in another format than raw is converted to an unnamed file in scratchDir. It needs root.
func Inspect(ctx context.Context, file, scratchDir string) (i *Inspection, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("cannot open an image without root: mounting needs root (sudo)")
	}
	if err := checkTools((&Options{}).tools(), lookTool); err != nil {
		return nil, err
	}
	i = &Inspection{name: file}
	i.Beside, i.BesideText, err = ReadManifest(ManifestPath(file))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := openRegular(file)
	if err != nil {
		return nil, fmt.Errorf("cannot open the image: %w", err)
	}
	digest, err := fileDigest(ctx, f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot read the image: %w", err)
	}
	i.Manifest.Image = "sha256:" + digest
	if i.Manifest.Format, err = formatOf(f); err != nil {
		f.Close()
		return nil, err
	}
	// The open file is used, so that the mounted image is the one that was hashed, even if its name was changed.
	disk, err := rawOf(ctx, f, scratchDir)
	if err != nil {
		return nil, err
	}
	defer disk.Close()
	o, err := openDisk(ctx, disk, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	return i, i.look(ctx, o)
}

func (i *Inspection) look(ctx context.Context, o *opened) error {
	info, err := o.disk.Stat()
	if err != nil {
		return err
	}
	t := tree{o.root}
	have, err := t.take()
	if err != nil {
		return err
	}
	m := &i.Manifest
	m.Size, m.Release, i.installed = info.Size(), have.codename, have.installed
	m.describe(have)
	paths, err := t.shipped()
	if err != nil {
		return err
	}
	if b := i.Beside; b != nil {
		m.Version, m.SBOM, m.Base, m.Inputs, m.Snapshot = b.Version, b.SBOM, b.Base, b.Inputs, b.Snapshot
		paths = slices.Sorted(maps.Keys(b.Files))
	}
	if m.Files, err = t.files(ctx, paths); err != nil {
		return err
	}
	if i.Faults, err = install.Left(t); err != nil {
		return fmt.Errorf("cannot check the image's seal: %w", err)
	}
	left, err := t.accountsLeft(have.accounts)
	i.Faults = append(i.Faults, left...)
	return err
}

// shipped returns the files that hapair may have added to an image.
func (t tree) shipped() ([]string, error) {
	names, err := t.Names("/etc/systemd/network")
	if err != nil && !missing(err) {
		return nil, err
	}
	var networks []string
	for _, name := range names {
		if name, ok := strings.CutSuffix(name, ".network.d"); ok {
			networks = append(networks, name+".network")
		}
	}
	paths := []string{wellknown.Agent}
	for _, f := range units.All(units.Features{Firewall: true, Certificates: true, NetworkFiles: networks}) {
		paths = append(paths, f.Path)
	}
	return paths, nil
}

// People's accounts have UIDs from 1000, except nobody; see login.defs(5) and Debian's policy, 9.2.2.
const (
	firstUser = 1000
	lastUser  = 59999
)

// accountsLeft reports accounts with which a person could log in to every node. An image has only accounts of services;
// people's accounts come with a node's seed.
func (t tree) accountsLeft(accounts map[string]Account) ([]string, error) {
	shadow, err := t.read("/etc/shadow")
	if err != nil {
		return nil, fmt.Errorf("cannot check the image's accounts: %w", err)
	}
	var left []string
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		uid, err := strconv.ParseUint(accounts[name].UID, 10, 32)
		switch {
		case err != nil:
			left = append(left, fmt.Sprintf("the account %s in /etc/passwd has no number", name))
		case uid == 0 && name != "root":
			left = append(left, fmt.Sprintf("the account %s is root by another name (UID 0)", name))
		case uid >= firstUser && uid <= lastUser:
			left = append(left, fmt.Sprintf("the account %s (UID %d) is from the machine that made the image: delete it before the image is sealed", name, uid))
		}
	}
	for line := range strings.Lines(string(shadow)) {
		f := strings.Split(line, ":")
		// "!" or "*" at the beginning means that there is no password. See shadow(5).
		if len(f) > 1 && !strings.HasPrefix(f[1], "!") && !strings.HasPrefix(f[1], "*") {
			what := "a password: anyone who knows it could log in to every node"
			if f[1] == "" {
				what = "an empty password"
			}
			left = append(left, fmt.Sprintf("the account %s has %s", f[0], what))
		}
	}
	return left, nil
}

// Digest returns the digest of a file: "sha256:…".
func Digest(path string) (string, error) {
	f, err := openRegular(path)
	if err != nil {
		return "", fmt.Errorf("cannot read a digest: %w", err)
	}
	defer f.Close()
	digest, err := fileDigest(context.Background(), f)
	if err != nil {
		return "", fmt.Errorf("cannot read a digest: %w", err)
	}
	return "sha256:" + digest, nil
}
