package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hapair/hapair/internal/audit"
	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/judge"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/termsafe"
)

// imageFlags are the flags of bake image.
type imageFlags struct {
	output, release, base, sha256, format, agent, mirror, size, cache string
	snapshot, sign                                                    string
}

func newImage(e *env) *cobra.Command {
	var f imageFlags
	cmd := &cobra.Command{
		Use:   "image SPEC -o FILE",
		Short: "Bake a golden image on this machine, without a hypervisor",
		Long: `Bake a golden image on this machine, without a hypervisor: copy a base image, open it in a private mount
namespace, install everything that the nodes of the spec have in common, seal it, and write it as FILE, with a manifest
as FILE.json and a list of its software (SPDX) as FILE.spdx.json. This needs root.

If SOURCE_DATE_EPOCH is in the environment, no file in the image has a later timestamp.`,
		Args: oneArg("SPEC"),
		Example: `  sudo bake image cluster.yaml -o golden.qcow2
  sudo bake image cluster.yaml -o golden.vmdk --release trixie --sign ~/.ssh/id_ed25519`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := required(cmd, "output", "FILE"); err != nil {
				return err
			}
			return e.bakeImage(cmd.Context(), args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "the image to write (required)")
	flags.StringVar(&f.release, "release", "", "use this release instead of the spec's: "+strings.Join(release.Names(), ", "))
	flags.StringVar(&f.base, "base", image.Bootstrap, "the base image: the path or URL of a cloud image (qcow2 or raw), or bootstrap")
	flags.StringVar(&f.sha256, "base-sha256", "", "the SHA-256 of the base image; required for a URL")
	flags.StringVar(&f.format, "format", "", image.FormatNames()+" (default: from the extension of FILE if it is .vmdk, .vhd or .ova, otherwise qcow2)")
	flags.StringVar(&f.agent, "agent", "", "the ha-agent to install (default: ha-agent in the directory of bake)")
	flags.StringVar(&f.mirror, "mirror", "", "the package archive to bootstrap from, instead of the release's own; the image continues to use it")
	flags.StringVar(&f.size, "size", "", "the size of the disk, such as 2G (default: that of the base image)")
	flags.StringVar(&f.cache, "cache", "", "the cache directory for base images and packages (default: hapair in the user's cache directory)")
	flags.StringVar(&f.snapshot, "snapshot", "", "bootstrap from the package archive as it was at `DATE`, such as 2026-01-31 or 2026-01-31T12:00:00Z")
	flags.StringVar(&f.sign, "sign", "", "sign the manifest with the ssh key in the file `KEY` (a private key, or a public key whose private key is in the ssh agent); writes FILE.json.sig")
	return cmd
}

// check validates the flags, and returns the disk size in bytes.
func (f *imageFlags) check() (size int64, err error) {
	if f.output == stdio {
		return 0, errors.New("cannot write an image to stdout: give a file with -o FILE")
	}
	format, err := image.ParseFormat(f.format, f.output)
	if err != nil {
		return 0, err
	}
	f.format = string(format)
	if strings.Contains(f.base, "://") && f.sha256 == "" {
		return 0, fmt.Errorf("cannot use the base %s: a download needs its SHA-256 (--base-sha256)", f.base)
	}
	return image.ParseSize(f.size)
}

func (e *env) bakeImage(ctx context.Context, path string, f imageFlags) error {
	s, r, err := e.loadFor(ctx, path, f.release)
	if err != nil {
		return err
	}
	size, err := f.check()
	if err != nil {
		return exitstatus.With(exitstatus.Usage, err)
	}
	epoch, snapshot, err := f.times()
	if err != nil {
		return exitstatus.With(exitstatus.Usage, err)
	}
	want, err := recipe.Image(s, r)
	if err != nil {
		return exitstatus.With(exitstatus.No, err)
	}
	agent, err := agentSource(f.agent)
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	cache, err := cacheDir(f.cache)
	if err != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	if f.sign != "" {
		if err := audit.CheckKey(f.sign); err != nil {
			return exitstatus.With(exitstatus.Failure, err)
		}
	}
	shown := newProgress(e.stderr, time.Now)
	m, err := image.Bake(ctx, image.Options{
		Release: r, Base: f.base, BaseSHA256: f.sha256, Mirror: f.mirror, Size: size, Snapshot: snapshot, Epoch: epoch,
		Output: f.output, Format: image.Format(f.format), CacheDir: cache,
		Inputs: map[string]string{"spec": "sha256:" + s.Digest}, Env: proxyEnv(os.Environ()), Report: shown.report,
	}, func(ctx context.Context, m *image.Machine) error {
		return install.Do(ctx, m, append(install.Image(want, agent), judge.Step(s, r)), shown.report)
	})
	shown.end()
	var refused diag.Problems
	if errors.As(err, &refused) {
		return e.printProblems(refused)
	}
	if err != nil {
		return imageError(err)
	}
	if err := e.signImage(ctx, f); err != nil {
		return err
	}
	return e.printImage(f.output, r, m)
}

// imageError returns the error to report. It replaces the error of an interrupt by a clear message.
func imageError(err error) error {
	if errors.Is(err, context.Canceled) {
		return exitstatus.With(exitstatus.Failure, errors.New("interrupted; nothing was written"))
	}
	return exitstatus.With(exitstatus.Failure, err)
}

// printImage prints the result.
func (e *env) printImage(output string, r release.Release, m image.Manifest) error {
	if e.json {
		enc := json.NewEncoder(termsafe.Writer(e.stdout))
		enc.SetIndent("", "  ")
		return enc.Encode(m)
	}
	info, err := os.Stat(output)
	if err != nil {
		return cannot("find the image: %v", err)
	}
	fmt.Fprintf(e.stdout, "%s: %s, %s, %d MB, %d packages; manifest: %s.json\n", output, r.Title, m.Format, info.Size()>>20, len(m.Packages), output)
	return nil
}

// findAgent returns the path of ha-agent: the one named by --agent, or the one beside bake or in PATH.
func findAgent(named string) (string, error) {
	self, err := os.Executable()
	if err != nil && named == "" {
		return "", cannot("find the ha-agent beside bake: %w; give its path with --agent PATH", err)
	}
	path, err := install.FindAgent(named, self)
	if err != nil {
		return "", exitstatus.With(exitstatus.Failure, fmt.Errorf("%w, and give its path with --agent PATH", err))
	}
	return path, nil
}

// agentSource opens ha-agent: see findAgent.
func agentSource(named string) (install.Source, error) {
	path, err := findAgent(named)
	if err != nil {
		return nil, err
	}
	return install.FileSource(path), nil
}

func cacheDir(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cannot find the user's cache directory: %w; name a directory with --cache", err)
	}
	return filepath.Join(dir, "hapair"), nil
}

// proxyEnv returns the proxy variables of the environment, because apt in the image needs the same proxies as this machine.
func proxyEnv(environ []string) []string {
	var env []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		switch strings.ToLower(name) {
		case "http_proxy", "https_proxy", "ftp_proxy", "no_proxy":
			env = append(env, kv)
		}
	}
	return env
}
