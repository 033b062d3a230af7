package packer

import (
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/testing/needs"
)

var update = flag.Bool("update", false, "update the generated documentation")

// components returns the components of the plugin: their folder, their page, and the path of the page for Packer's web site.
func components() []struct{ folder, page, web string } {
	return []struct{ folder, page, web string }{
		{"builder", "builders/chroot.mdx", "components/builder/chroot/README.md"},
		{"datasource", "datasources/hapair.mdx", "components/data-source/hapair/README.md"},
		{"provisioner", "provisioners/hapair.mdx", "components/provisioner/hapair/README.md"},
	}
}

// TestDocs generates the documentation in another folder and compares it. packer-sdc takes the nearest parent folder with a
// name that begins with packer-plugin- as the project's root, and does nothing below a folder named packer. Therefore the
// test copies the files.
func TestDocs(t *testing.T) {
	if !*update {
		needs.Programs(t) // packer-sdc must be built
	}
	top := filepath.Join(t.TempDir(), "packer-plugin-hapair")
	for _, c := range components() {
		copyFile(t, filepath.Join(c.folder, "config.go"), filepath.Join(top, c.folder, "config.go"))
		sdc(t, ".", "struct-markdown", filepath.Join(top, c.folder, "config.go"))
	}
	rendered := filepath.Join(top, "rendered")
	sdc(t, ".", "renderdocs", "-src", "docs", "-partials", filepath.Join(top, "docs-partials"), "-dst", rendered)
	web := filepath.Join(top, "web")
	copyFile(t, filepath.Join(rendered, "README.md"), filepath.Join(web, "README.md"))
	for _, c := range components() {
		copyFile(t, filepath.Join(rendered, c.page), filepath.Join(web, c.web))
	}
	compare(t, filepath.Join(top, "docs-partials"), "docs-partials")
	compare(t, web, ".web-docs")
}

// TestConfigSpecs generates the HCL schema of each Config in a copy of its package inside this module, and compares it.
func TestConfigSpecs(t *testing.T) {
	needs.Programs(t) // it runs the go command
	for _, c := range components() {
		dir, err := os.MkdirTemp(".", "_generated-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		copyFile(t, filepath.Join(c.folder, "config.go"), filepath.Join(dir, "config.go"))
		types := "Config"
		if c.folder == "datasource" {
			types += ",DatasourceOutput"
		}
		sdc(t, dir, "mapstructure-to-hcl2", "-type", types, "config.go")
		got, want := read(t, filepath.Join(dir, "config.hcl2spec.go")), read(t, filepath.Join(c.folder, "config.hcl2spec.go"))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s/config.hcl2spec.go is out of date; run go generate ./packer/... (-file +generated):\n%s", c.folder, diff)
		}
	}
}

func sdc(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"tool", "packer-sdc"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("packer-sdc %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// compare checks that the trees want and got have the same files. With -update it makes want equal to got.
func compare(t *testing.T, got, want string) {
	t.Helper()
	if *update {
		if err := os.RemoveAll(want); err != nil {
			t.Fatal(err)
		}
		for name, content := range tree(t, got) {
			writeFile(t, filepath.Join(want, name), content)
		}
	}
	if diff := cmp.Diff(tree(t, want), tree(t, got)); diff != "" {
		t.Errorf("packer/%s is out of date; run go generate ./packer/... (-file +generated):\n%s", want, diff)
	}
}

// tree returns the content of all files below dir, by path.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files[name] = read(t, filepath.Join(dir, name))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return files
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	writeFile(t, to, read(t, from))
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
