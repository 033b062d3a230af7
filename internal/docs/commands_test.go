package docs

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/testing/needs"
)

// block is a command block of a page, with the expected output below it.
type block struct {
	page   string
	line   int
	script string
	output string // content of the ```text block that follows; empty if there is none
}

// pages returns the pages whose command blocks TestCommandBlocks runs, in this order and in one folder.
func pages() []string { return []string{"README.md", "docs/cloud-init.md"} }

// TestCommandBlocks runs every ```sh block of the pages in a copy of the project. A ```text block right after it is the
// expected output, in which "…" matches any text.
func TestCommandBlocks(t *testing.T) {
	needs.Programs(t, "sh", "xorriso")
	tree := copyTree(t, "../..")
	for _, page := range pages() {
		for _, b := range blocks(t, page) {
			runBlock(t, tree, b)
		}
	}
}

func runBlock(t *testing.T, tree string, b block) {
	t.Helper()
	if strings.HasPrefix(b.script, "make ") {
		checkTargets(t, tree, b)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-euc", b.script)
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -trimpath") // what was built elsewhere need not be built again
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s:%d: %v:\n%s\n%s", b.page, b.line, err, b.script, out)
	}
	if b.output != "" && !shown(b.output).MatchString(string(out)) {
		t.Errorf("%s:%d: shows\n%s\nand prints\n%s", b.page, b.line, b.output, out)
	}
}

// checkTargets checks that the make targets of a block exist. It does not run make, because make would run this test again.
func checkTargets(t *testing.T, tree string, b block) {
	t.Helper()
	makefile, err := os.ReadFile(filepath.Join(tree, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(b.script), "\n") {
		target := strings.Fields(line)[1]
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).Match(makefile) {
			t.Errorf("%s:%d: there is no target %s", b.page, b.line, target)
		}
	}
}

// shown returns a pattern for the expected output text. "…" in text matches anything, and sizes in bytes may differ.
func shown(text string) *regexp.Regexp {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(text), "…", `(?s:.*)`)
	return regexp.MustCompile(`^` + regexp.MustCompile(`[0-9]+ bytes`).ReplaceAllString(pattern, `[0-9]+ bytes`) + `$`)
}

// blocks returns the ```sh blocks of a page.
func blocks(t *testing.T, page string) []block {
	t.Helper()
	f, err := os.Open(filepath.Join("../..", page))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []block
	var fence, previous string // previous is the fence of the preceding block, as long as only blank lines follow it
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		line := s.Text()
		switch {
		case fence == "" && strings.HasPrefix(line, "```"):
			fence = line
			if fence == "```sh" {
				list = append(list, block{page: page, line: n + 1})
			}
		case line == "```":
			fence, previous = "", fence
		case fence == "```sh":
			list[len(list)-1].script += line + "\n"
		case fence == "```text" && previous == "```sh":
			list[len(list)-1].output += line + "\n"
		case fence == "" && line != "":
			previous = ""
		}
	}
	if err := s.Err(); err != nil || len(list) == 0 {
		t.Fatalf("%s has no command blocks (%v)", page, err)
	}
	return list
}

// copyTree copies the files of the working tree, including new ones, to a temporary folder and returns its path.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	skip := map[string]bool{".git": true, ".cache": true, "bin": true, "dist": true, "out": true, "examples/secrets": true}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case skip[rel] && d.IsDir():
			return fs.SkipDir
		case skip[rel]: // .git of a worktree is a file
			return nil
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is not a regular file", path)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func TestShown(t *testing.T) {
	for _, c := range []struct {
		text, output string
		want         bool
	}{
		{"a (345 bytes)\n", "a (12 bytes)\n", true},
		{"a (345 bytes)\n", "a (no bytes)\n", false},
		{"a\n…\nd\n", "a\nb\nc\nd\n", true},
		{"a\n", "a\nb\n", false},
		{"a.c\n", "abc\n", false},
	} {
		if got := shown(c.text).MatchString(c.output); got != c.want {
			t.Errorf("%q and %q: %v", c.text, c.output, got)
		}
	}
}
