// Command mkrelease writes the files of a release from programs that were built: Debian packages, archives, the archives of
// Packer's plugin, and their digests. `make release` runs it.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hapair/hapair/internal/packages"
	"github.com/hapair/hapair/internal/version"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "mkrelease: %v\n", err)
		os.Exit(3)
	}
}

// run writes a release. Below the directory -programs there is a directory with the programs of each architecture, and shared/
// with the files of all architectures.
func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("mkrelease", flag.ContinueOnError)
	programs := flags.String("programs", "", "the `DIRECTORY` with the programs of each architecture: amd64/bake")
	out := flags.String("o", "", "the `DIRECTORY` to write to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	shared, err := readTree(filepath.Join(*programs, "shared"))
	if err != nil {
		return err
	}
	w := writer{dir: *out, stdout: stdout}
	for _, arch := range []string{"amd64", "arm64"} {
		if err := w.architecture(arch, filepath.Join(*programs, arch), shared); err != nil {
			return err
		}
	}
	return w.sums()
}

// writer writes files to a directory, and remembers their digests.
type writer struct {
	dir     string
	stdout  io.Writer
	all     strings.Builder // SHA256SUMS
	plugins strings.Builder
}

func (w *writer) architecture(arch, programs string, shared map[string][]byte) error {
	bin := map[string][]byte{}
	for _, name := range []string{"bake", "ha-agent", "packer-plugin-hapair"} {
		b, err := os.ReadFile(filepath.Join(programs, name))
		if err != nil {
			return fmt.Errorf("cannot read a program: %w", err)
		}
		bin[name] = b
	}
	agent, err := packages.Agent(bin["ha-agent"])
	if err != nil {
		return err
	}
	bake, err := packages.Bake(packages.Tools{Bake: bin["bake"], Agent: bin["ha-agent"], Shared: installed(shared)})
	if err != nil {
		return err
	}
	archive := []packages.File{{Name: "bake", Mode: 0o755, Content: bin["bake"]}, {Name: "ha-agent", Mode: 0o755, Content: bin["ha-agent"]}}
	for name, content := range shared {
		archive = append(archive, packages.File{Name: name, Mode: 0o644, Content: content})
	}
	dir := fmt.Sprintf("hapair_%s_linux_%s", version.Version, arch)
	return errors.Join(
		w.file(agent.FileName(), agent.Write),
		w.file(bake.FileName(), bake.Write),
		w.file(dir+".tar.gz", func(out io.Writer) error { return packages.Tar(out, dir, archive) }),
		w.file(packages.PluginName(arch)+".zip", func(out io.Writer) error { return packages.Plugin(out, arch, bin["packer-plugin-hapair"]) }))
}

// installed returns the files of the Debian package of bake by their paths on the machine. The names of the files are those in
// an archive: man/bake.1, completion/bake.bash, docs/spec.md.
func installed(shared map[string][]byte) map[string][]byte {
	out := map[string][]byte{}
	for name, content := range shared {
		dir, base := filepath.Dir(name), filepath.Base(name)
		switch {
		case dir == "man" && strings.HasPrefix(base, "bake"):
			out["/usr/share/man/man1/"+base+".gz"] = packages.Gzip(content)
		case name == "completion/bake.bash":
			out["/usr/share/bash-completion/completions/bake"] = content
		case name == "completion/bake.zsh":
			out["/usr/share/zsh/vendor-completions/_bake"] = content
		case name == "completion/bake.fish":
			out["/usr/share/fish/vendor_completions.d/bake.fish"] = content
		case dir == "docs", strings.HasPrefix(name, "examples/"), base == "README.md":
			out["/usr/share/doc/"+packages.BakeName+"/"+name] = content
		case base == "CHANGELOG.md":
			out["/usr/share/doc/"+packages.BakeName+"/changelog.gz"] = packages.Gzip(content)
		}
	}
	return out
}

// file writes a file and prints its name and size.
func (w *writer) file(name string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return fmt.Errorf("cannot make %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, name), b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	line := fmt.Sprintf("%x  %s\n", sha256.Sum256(b.Bytes()), name)
	w.all.WriteString(line)
	if strings.HasPrefix(name, "packer-plugin-") && strings.HasSuffix(name, ".zip") {
		w.plugins.WriteString(line)
	}
	fmt.Fprintf(w.stdout, "%s (%d bytes)\n", filepath.Join(w.dir, name), b.Len())
	return nil
}

// sums writes the digests of all files: for Packer those of its own archives.
func (w *writer) sums() error {
	plugins := w.plugins.String()
	if err := w.file(packages.PluginSums(), func(out io.Writer) error { _, err := io.WriteString(out, plugins); return err }); err != nil {
		return err
	}
	all := w.all.String()
	return w.file("SHA256SUMS", func(out io.Writer) error { _, err := io.WriteString(out, all); return err })
}

// readTree reads all files below a directory, by their relative names.
func readTree(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", dir, err)
	}
	return files, nil
}
