package packages_test

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/packages"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/internal/version"
)

// TestRelease builds a release twice, in two directories, and signs one: the files must be equal, and their digests, names and
// the signature as the tools expect them.
func TestRelease(t *testing.T) {
	needs.Programs(t, "ssh-keygen", "dpkg-deb", "sha256sum")
	key := filepath.Join(t.TempDir(), "key")
	run(t, "", nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key)
	first, second := buildRelease(t, "SIGN="+key), buildRelease(t)
	names := fileNames(t, second)
	if got := fileNames(t, first); !slices.Equal(got, append(slices.Clone(names), "SHA256SUMS.sig")) {
		t.Errorf("with a key there are %q, without %q", got, names)
	}
	for _, name := range names {
		if a, b := read(t, first, name), read(t, second, name); a != b {
			t.Errorf("%s differs between two builds", name)
		}
	}
	run(t, first, nil, "sha256sum", "--strict", "-c", "SHA256SUMS")
	run(t, first, nil, "sha256sum", "--strict", "-c", packages.PluginSums())
	signers := filepath.Join(t.TempDir(), "signers")
	if err := os.WriteFile(signers, []byte("hapair "+read(t, filepath.Dir(key), "key.pub")), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, first, strings.NewReader(read(t, first, "SHA256SUMS")), "ssh-keygen", "-Y", "verify", "-f", signers, "-I", "hapair", "-n", "hapair-release", "-s", "SHA256SUMS.sig")
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) { checkArchitecture(t, first, arch) })
	}
	t.Run("packer init", func(t *testing.T) { checkPackerInit(t, first) })
}

// checkArchitecture checks the files for an architecture.
func checkArchitecture(t *testing.T, dir, arch string) {
	for name, paths := range map[string][]string{
		"ha-agent": {"./usr/bin/ha-agent", "./usr/share/man/man8/ha-agent.8.gz", "./usr/share/bash-completion/completions/ha-agent",
			"./usr/lib/systemd/system/ha-agent.service", "./usr/lib/sysusers.d/hapair.conf"},
		"hapair-bake": {"./usr/bin/bake", "./usr/lib/hapair/ha-agent", "./usr/share/man/man1/bake-validate.1.gz", "./usr/share/bash-completion/completions/bake",
			"./usr/share/zsh/vendor-completions/_bake", "./usr/share/doc/hapair-bake/docs/spec.md", "./usr/share/doc/hapair-bake/examples/controllers.yaml"},
	} {
		file := name + "_" + version.Version + "_" + arch + ".deb"
		if got := run(t, dir, nil, "dpkg-deb", "-f", file, "Architecture", "Version"); got != "Architecture: "+arch+"\nVersion: "+version.Version+"\n" {
			t.Errorf("%s is %q", file, got)
		}
		content := strings.Fields(run(t, dir, nil, "dpkg-deb", "-c", file))
		for _, path := range paths {
			if !slices.Contains(content, path) {
				t.Errorf("%s has no %s", file, path)
			}
		}
	}
	for _, name := range []string{"bake", "ha-agent", "LICENSE", "man/bake.1", "man/ha-agent.8", "completion/bake.zsh", "docs/spec.md"} {
		top := "hapair_" + version.Version + "_linux_" + arch
		if !slices.Contains(tarNames(t, filepath.Join(dir, top+".tar.gz")), top+"/"+name) {
			t.Errorf("the archive has no %s", name)
		}
	}
	program := "packer-plugin-hapair_v" + version.Version + "_x5.0_linux_" + arch
	z, err := zip.OpenReader(filepath.Join(dir, program+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if len(z.File) != 1 || z.File[0].Name != program || z.File[0].Mode().Perm() != 0o755 {
		t.Errorf("the plugin's archive has %d files, the first %q", len(z.File), z.File[0].Name)
	}
}

// buildRelease builds a release from a copy of the project, and returns its directory.
func buildRelease(t *testing.T, env ...string) string {
	t.Helper()
	tree := t.TempDir()
	run(t, "../..", nil, "sh", "-c", `tar -c --exclude=./.git --exclude=./.cache --exclude=./bin --exclude=./dist --exclude=./out . | tar -x -C "$0"`, tree)
	cmd := exec.CommandContext(t.Context(), "scripts/release")
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("scripts/release: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	return filepath.Join(tree, "dist")
}

func run(t *testing.T, dir string, stdin io.Reader, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Stdin = dir, stdin
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return names
}

func tarNames(t *testing.T, file string) []string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}
