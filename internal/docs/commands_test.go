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
	"strconv"
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
// expected output, in which "…" matches any text. With -update, outputs without "…" are written to the pages.
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
	if *update && b.output != "" && !strings.Contains(b.output, "…") {
		replaceOutput(t, b, string(out))
	} else if b.output != "" && !shows(b.output, string(out)) {
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

// sizes matches a size in bytes.
var sizes = regexp.MustCompile(`[0-9]+ bytes`)

// shows reports whether a page shows an output. "…" in the text matches anything. Sizes in bytes may differ by a twentieth: a
// compressed file with random salts does not always have the same.
func shows(text, output string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(text), "…", `(?s:.*)`)
	match := regexp.MustCompile(`^` + sizes.ReplaceAllString(pattern, `([0-9]+) bytes`) + `$`).FindStringSubmatch(output)
	if match == nil {
		return false
	}
	for i, size := range sizes.FindAllString(text, -1) {
		want, err := strconv.Atoi(strings.Fields(size)[0])
		got, err2 := strconv.Atoi(match[i+1])
		if err != nil || err2 != nil || max(got-want, want-got) > want/20 {
			return false
		}
	}
	return true
}

// replaceOutput writes the output of a block to its page.
func replaceOutput(t *testing.T, b block, output string) {
	t.Helper()
	name := filepath.Join("../..", b.page)
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	old := b.script + "```\n\n```text\n"
	if n := strings.Count(string(page), old+b.output); n != 1 {
		t.Fatalf("%s:%d: the block and its output are there %d times, want 1", b.page, b.line, n)
	}
	changed := strings.Replace(string(page), old+b.output, old+output, 1)
	if err := os.WriteFile(name, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
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

func TestShows(t *testing.T) {
	for _, c := range []struct {
		text, output string
		want         bool
	}{
		{"a (345 bytes)\n", "a (350 bytes)\n", true},
		{"a (345 bytes)\n", "a (12 bytes)\n", false},
		{"a (345 bytes)\n", "a (no bytes)\n", false},
		{"a\n…\nd\n", "a\nb\nc\nd\n", true},
		{"a\n", "a\nb\n", false},
		{"a.c\n", "abc\n", false},
	} {
		if got := shows(c.text, c.output); got != c.want {
			t.Errorf("%q and %q: %v", c.text, c.output, got)
		}
	}
}
