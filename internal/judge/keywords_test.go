package judge

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/test/cluster"
)

var update = flag.Bool("update", false, "write release/keywords.txt anew; needs a root of every release")

const keywordTable = "../release/keywords.txt"

// TestKeywordsAreThoseOfTheReleases compares the table of keywords that older releases lack with the lists of the daemons.
// haproxy can list its keywords since 2.6. For 2.4, the test checks only whether the program contains the word.
func TestKeywordsAreThoseOfTheReleases(t *testing.T) {
	table := map[string]release.Version{}
	content, err := os.ReadFile(keywordTable)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if f := strings.SplitN(strings.TrimSpace(line), " ", 3); len(f) == 3 && f[0] != "#" {
			v, err := release.ParseVersion(f[1] + ".0")
			if err != nil {
				t.Fatal(err)
			}
			table[f[0]+" "+f[2]] = v
		}
	}
	have := map[string]map[string]bool{}
	for _, name := range cluster.Releases(t, "bookworm", "trixie", "noble") {
		if have[name] = keywordsOf(t, name); len(have[name]) == 0 {
			delete(have, name)
		}
	}
	if *update {
		writeKeywords(t, have)
		return
	}
	for name, keywords := range have {
		r, err := release.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		for keyword, since := range table {
			if want := r.HAProxy.AtLeast(since[0], since[1], 0); keywords[keyword] != want {
				t.Errorf("%s: haproxy has the keyword %q: %v, the table expects %v", name, keyword, keywords[keyword], want)
			}
		}
	}
}

var (
	sampleFetch = regexp.MustCompile(`^\[.*\] ([a-zA-Z0-9_.]+)`)
	converter   = regexp.MustCompile(`^\t?([a-z0-9_.]+)`)
)

// keywordsOf returns the keywords that a release's haproxy lists, or none if it cannot list them.
func keywordsOf(t *testing.T, name string) map[string]bool {
	t.Helper()
	sb := labtest.Sandbox(t, name)
	if err := sb.WriteFile(t.Context(), "/tmp/empty.cfg", 0o644, "", []byte("global\n")); err != nil {
		t.Fatal(err)
	}
	out, _, err := sb.Run(t.Context(), "haproxy", "-dKall", "-c", "-f", "/tmp/empty.cfg")
	if err != nil {
		t.Fatal(err)
	}
	all, list, section := map[string]bool{}, "", ""
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\n")
		if title, ok := strings.CutPrefix(line, "# List of registered "); ok {
			list = title
			continue
		}
		switch {
		case strings.HasPrefix(line, "#") || line == "":
		case strings.HasPrefix(list, "configuration"):
			if !strings.HasPrefix(line, "\t") {
				section = line
			} else if keyword := configKeyword(section, strings.TrimSpace(line)); keyword != "" {
				all[keyword] = true
			}
		case strings.HasPrefix(list, "sample fetch"):
			if m := sampleFetch.FindStringSubmatch(line); m != nil {
				all["fetch "+m[1]] = true
			}
		case strings.HasPrefix(list, "sample converter"):
			if m := converter.FindStringSubmatch(line); m != nil {
				all["converter "+m[1]] = true
			}
		}
	}
	return all
}

// configKeyword returns a keyword with its kind, or "" if it is not compared.
func configKeyword(section, line string) string {
	line = strings.TrimRight(strings.SplitN(line, " [ ", 2)[0], "*")
	if i := strings.Index(line, " +"); i > 0 {
		line = line[:i]
	}
	words := strings.Fields(line)
	switch {
	case section == "global":
		return "global " + line
	case section != "listen" || strings.HasSuffix(line, "ot-group"):
		return "" // a module that not every build has
	case words[0] == "bind" || words[0] == "server":
		return words[0] + " " + words[len(words)-1]
	}
	return "proxy " + strings.TrimRight(line, "(")
}

// writeKeywords writes the keywords that some releases have and older ones lack. Some keywords are older than their place on
// haproxy's list: tune.bufsize is listed only since 3.2. Therefore a release lacks a keyword only if its program does not
// contain the word at all.
func writeKeywords(t *testing.T, have map[string]map[string]bool) {
	t.Helper()
	programs := map[string]string{}
	for _, name := range append(slices.Collect(maps.Keys(have)), "jammy") {
		program, err := os.ReadFile(filepath.Join(labtest.Root(t, name, lab.NodePackages()...), "usr/sbin/haproxy"))
		if err != nil {
			t.Fatal(err)
		}
		programs[name] = string(program)
	}
	since := map[string]release.Version{}
	for name, keywords := range have {
		r, _ := release.Get(name)
		for keyword := range keywords {
			if v, known := since[keyword]; !known || !r.HAProxy.AtLeast(v[0], v[1], 0) {
				since[keyword] = r.HAProxy
			}
		}
	}
	var b strings.Builder
	b.WriteString("# Written by go test ./internal/judge -run Keywords -update, with HAPAIR_RELEASES=bookworm,noble,trixie,resolute.\n")
	for _, keyword := range slices.Sorted(maps.Keys(since)) {
		kind, name, _ := strings.Cut(keyword, " ")
		v := since[keyword]
		if !inOlder(programs, name, v) && inAll(have, keyword, v) {
			fmt.Fprintf(&b, "%s %d.%d %s\n", kind, v[0], v[1], name)
		}
	}
	if err := os.WriteFile(keywordTable, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// inOlder reports whether the program of a release before a version contains the last word of a keyword.
func inOlder(programs map[string]string, keyword string, since release.Version) bool {
	words := strings.Fields(keyword)
	for name, program := range programs {
		r, _ := release.Get(name)
		if !r.HAProxy.AtLeast(since[0], since[1], 0) && strings.Contains(program, words[len(words)-1]+"\x00") {
			return true
		}
	}
	return false
}

// inAll reports whether exactly the releases from a version on have a keyword. Keywords that were removed later, or that
// depend on the build, do not fit.
func inAll(have map[string]map[string]bool, keyword string, since release.Version) bool {
	for name, keywords := range have {
		r, _ := release.Get(name)
		if r.HAProxy.AtLeast(since[0], since[1], 0) != keywords[keyword] {
			return false
		}
	}
	return true
}

func TestMissingKeywordsNameTheReleases(t *testing.T) {
	r, err := release.Get("bookworm")
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"http-request set-bc-mark 1":                                         "http-request set-bc-mark",
		"http-request set-header X %[bc_rtt]":                                "bc_rtt",
		"http-request set-header X 1 if { bc_rtt gt 3 }":                     "bc_rtt",
		"http-request set-header X %[req.hdr(forwarded),rfc7239_field(for)]": "rfc7239_field",
		"bind :80 guid-prefix x":                                             "guid-prefix",
		"server a 192.0.2.1:80 log-bufsize 10":                               "log-bufsize",
		"server guid 192.0.2.1:80 check":                                     "",
		"http-request set-header X guid":                                     "",
	} {
		got, have := r.Lacks("frontend", strings.Fields(line), line)
		var names []string
		for _, other := range have {
			names = append(names, other.Name)
		}
		if got != want || (want != "") != slices.Contains(names, "resolute") || slices.Contains(names, "bookworm") {
			t.Errorf("Lacks(%q) = %q, %v; want %q", line, got, names, want)
		}
	}
	if diff := cmp.Diff("crt-store", first(r.Lacks("", []string{"crt-store", "x"}, ""))); diff != "" {
		t.Error(diff)
	}
}

func first(s string, _ []release.Release) string { return s }
