package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/audit"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/termsafe"
)

// inspectFlags are the flags of bake inspect.
type inspectFlags struct{ verify, sbom string }

func newInspect(e *env) *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Check a finished image, and print its manifest and digest",
		Long: `Check a finished image, and print its manifest and digest. The image is opened read-only, none of its programs is run, and
it is not modified. It needs root.

It exits with 1 if the image contains something that two machines must not share (host keys, machine-id, random seed), or
that belongs to the machine that made it (people's accounts, authorized keys, passwords, logs, state of cloud-init, package
lists); if the image does not match the manifest beside it; or if --verify finds no valid signature.`,
		Args: oneArg("IMAGE"),
		Example: `  sudo bake inspect golden.qcow2
  sudo bake inspect golden.qcow2 --verify allowed_signers --sbom software.spdx.json`,
		RunE: func(cmd *cobra.Command, args []string) error { return e.inspect(cmd.Context(), args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.verify, "verify", "", "require that the manifest beside the image is signed with a key from the file `ALLOWED_SIGNERS` (see ssh-keygen(1))")
	flags.StringVar(&f.sbom, "sbom", "", "write the list of the image's software (SPDX 2.3, JSON) to `FILE`; - is stdout, and the rest is then not printed")
	return cmd
}

// inspectReport is what bake inspect prints.
type inspectReport struct {
	File     string         `json:"file"`
	Good     bool           `json:"good"`
	Manifest image.Manifest `json:"manifest"` // of the image itself
	Faults   []string       `json:"faults"`   // what sealing should have removed from the image
	// Compared reports whether there is a manifest beside the image. Differences are those from that manifest to the image.
	Compared    bool           `json:"compared"`
	Differences []audit.Change `json:"differences"`
	Signer      string         `json:"signer,omitempty"`
	Signature   string         `json:"signature,omitempty"` // why the signature is not valid
}

func (e *env) inspect(ctx context.Context, path string, f inspectFlags) error {
	i, err := image.Inspect(ctx, path, os.TempDir())
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	if f.sbom != "" {
		software, err := i.Software(os.Getenv)
		if err != nil {
			return exitstatus.With(exitstatus.Usage, err)
		}
		if f.sbom == stdio {
			_, err = e.stdout.Write(software)
		} else {
			err = renameio.WriteFile(f.sbom, software, 0o644)
		}
		if err != nil {
			return cannot("write the list of software: %w", err)
		}
	}
	r := inspectReport{File: path, Manifest: i.Manifest, Faults: i.Faults, Differences: []audit.Change{}}
	if r.Faults == nil {
		r.Faults = []string{}
	}
	if i.Beside != nil {
		r.Compared = true
		if r.Differences, err = differences(path, i); err != nil {
			return exitstatus.With(exitstatus.Failure, err)
		}
	}
	if f.verify != "" {
		if err := r.checkSignature(ctx, f.verify, path, i); err != nil {
			return exitstatus.With(exitstatus.Failure, err)
		}
	}
	r.Good = len(r.Faults) == 0 && len(r.Differences) == 0 && r.Signature == ""
	stdout := e.stdout
	if f.sbom == stdio {
		stdout = io.Discard
	}
	return e.printInspection(r, f.verify != "", stdout)
}

// differences compares an image with the manifest beside it, including digests.
func differences(path string, i *image.Inspection) ([]audit.Change, error) {
	changes := []audit.Change{}
	if i.Beside.Image != i.Manifest.Image {
		changes = append(changes, audit.Change{Kind: "image", Change: "changed", From: i.Beside.Image, To: i.Manifest.Image})
	}
	if i.Beside.SBOM != "" {
		digest, err := image.Digest(image.SoftwarePath(path))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if err == nil && digest != i.Beside.SBOM {
			changes = append(changes, audit.Change{Kind: "list of software", Change: "changed", From: i.Beside.SBOM, To: digest})
		}
	}
	return append(changes, audit.Compare(i.Beside, &i.Manifest)...), nil
}

// checkSignature sets Signer if the signature is valid, and Signature if it is not.
func (r *inspectReport) checkSignature(ctx context.Context, allowed, path string, i *image.Inspection) error {
	manifest := image.ManifestPath(path)
	if i.Beside == nil {
		return fmt.Errorf("cannot verify the signature: there is no manifest %s", manifest)
	}
	signer, err := audit.Verify(ctx, allowed, manifest, i.BesideText)
	if errors.Is(err, audit.ErrSignature) {
		r.Signature = err.Error()
		return nil
	}
	r.Signer = signer
	return err
}

func (e *env) printInspection(r inspectReport, verified bool, stdout io.Writer) error {
	out := termsafe.Writer(stdout)
	if e.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return cannot("print the inspection: %w", err)
		}
	} else {
		var b bytes.Buffer
		r.print(&b, verified)
		if _, err := io.Copy(out, &b); err != nil {
			return cannot("print the inspection: %w", err)
		}
	}
	if !r.Good {
		return exitstatus.With(exitstatus.No, nil)
	}
	return nil
}

// print writes the inspection for people. It prints only the number of packages; --json lists them.
func (r *inspectReport) print(b *bytes.Buffer, verified bool) {
	m := &r.Manifest
	fmt.Fprintf(b, "%s: %s, %s, a disk of %d MiB, %d packages\n", r.File, m.Release, m.Format, m.Size>>20, len(m.Packages))
	fmt.Fprintf(b, "image: %s\n", m.Image)
	if m.Base.Source != "" {
		fmt.Fprintf(b, "base: %s %s\n", m.Base.Source, m.Base.Digest)
	}
	if m.Snapshot != "" {
		fmt.Fprintf(b, "snapshot: %s\n", m.Snapshot)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Inputs)) {
		fmt.Fprintf(b, "input: %s %s\n", name, m.Inputs[name])
	}
	for _, name := range []string{"haproxy", "keepalived", "cloud-init"} {
		if v := m.Packages[name]; v != "" {
			fmt.Fprintf(b, "package: %s %s\n", name, v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		f := m.Files[name]
		fmt.Fprintf(b, "file: %s %s:%s %s %s\n", f.Mode, f.Owner, f.Group, f.Digest, name)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Units)) {
		fmt.Fprintf(b, "unit: %s %s\n", m.Units[name], name)
	}
	switch {
	case !r.Compared:
		fmt.Fprintf(b, "manifest: there is no %s\n", image.ManifestPath(r.File))
	case len(r.Differences) == 0:
		fmt.Fprintf(b, "manifest: %s describes the image\n", image.ManifestPath(r.File))
	default:
		fmt.Fprintf(b, "manifest: NOT matching: %s differs from the image:\n", image.ManifestPath(r.File))
		var words strings.Builder
		_ = audit.Words(&words, r.Differences) // writing to a buffer cannot fail
		fmt.Fprintf(b, "    %s\n", strings.ReplaceAll(strings.TrimSpace(words.String()), "\n", "\n    "))
	}
	if verified && r.Signature == "" {
		fmt.Fprintf(b, "signature: valid, by %s\n", r.Signer)
	} else if verified {
		fmt.Fprintf(b, "signature: NOT valid: %s\n", r.Signature)
	}
	if len(r.Faults) == 0 {
		fmt.Fprintln(b, "hygiene: the image contains nothing that machines must not share")
	}
	for _, fault := range r.Faults {
		fmt.Fprintf(b, "hygiene: NOT clean: %s\n", fault)
	}
}
