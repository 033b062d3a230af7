package dpkg

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/testing/needs"
)

func TestInstalled(t *testing.T) {
	const status = `Package: haproxy
Status: hold ok installed
Maintainer: Debian HAProxy Maintainers <team@example.org>
Architecture: amd64
Version: 2.6.12-1+deb12u2
Description: fast proxy
 Package: not-this
 .
Homepage: http://haproxy.org/

Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: glibc (2.36-9)
Version: 2.36-9+b1

Package: gone
Status: deinstall ok config-files
Version: 1

Package: half
Status: install ok unpacked
Version: 1
`
	got, err := Installed(strings.NewReader(status))
	if err != nil {
		t.Fatal(err)
	}
	want := []Package{
		{Name: "haproxy", Version: "2.6.12-1+deb12u2", Architecture: "amd64", Source: "haproxy", SourceVersion: "2.6.12-1+deb12u2",
			Maintainer: "Debian HAProxy Maintainers <team@example.org>", Homepage: "http://haproxy.org/"},
		{Name: "libc6", Version: "2.36-9+b1", Architecture: "amd64", Source: "glibc", SourceVersion: "2.36-9", MultiArchSame: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if id := got[1].ID(); id != "libc6:amd64" {
		t.Errorf("ID %q", id)
	}
	if _, err := Installed(strings.NewReader("Package: x\nStatus: install ok installed\n")); err == nil {
		t.Error("an entry without a version gives no error")
	}
	if _, err := Installed(strings.NewReader(strings.Repeat("x", maxLine+1))); err == nil {
		t.Error("a line without an end gives no error")
	}
}

// The result must equal the output of dpkg for this machine.
func TestInstalledAgreesWithDpkg(t *testing.T) {
	needs.Programs(t, "dpkg-query")
	f, err := os.Open(Status)
	needs.That(t, err == nil, "this machine has no package database: %v", err)
	defer f.Close()
	list, err := Installed(f)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, p := range list {
		got.WriteString(p.ID() + " " + p.Version + " " + p.Source + " " + p.SourceVersion + "\n")
	}
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status} ${binary:Package} ${Version} ${source:Package} ${source:Version}\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(line, "installed "); ok {
			want = append(want, rest)
		}
	}
	for _, line := range want {
		if !strings.Contains(got.String(), line) {
			t.Errorf("the list does not contain %q", line)
		}
	}
	if len(list) != len(want) {
		t.Errorf("got %d packages, dpkg has %d", len(list), len(want))
	}
}

// compared are pairs of versions, with their order according to dpkg.
var compared = []struct {
	a, b string
	want int
}{
	{"1.0", "1.0", 0}, {"1.0", "1.1", -1}, {"2.8.9", "2.8.16", -1}, {"1:1.0", "2.0", 1}, {"0:1", "1", 0},
	{"1.0~rc1", "1.0", -1}, {"1.0~~", "1.0~", -1}, {"1.0+deb12u1", "1.0", 1}, {"1.0-1", "1.0-1+b1", -1},
	{"1.0a", "1.0+", -1}, {"1.0-1", "1.0", 1}, {"1.0-0", "1.0", 0}, {"1.001", "1.1", 0}, {"2.6.12-1+deb12u2", "2.6.12-1+deb12u10", -1},
	{"1.2-3-4", "1.2-4", 1}, {"99999999999999999999999", "100000000000000000000000", -1},
}

func TestCompare(t *testing.T) {
	for _, c := range compared {
		if got := Compare(c.a, c.b); got != c.want {
			t.Errorf("%s and %s: %d, want %d", c.a, c.b, got, c.want)
		}
		if got := Compare(c.b, c.a); got != -c.want {
			t.Errorf("%s and %s: %d, want %d", c.b, c.a, got, -c.want)
		}
	}
}

func TestCompareAgreesWithDpkg(t *testing.T) {
	needs.Programs(t, "dpkg")
	for _, c := range compared {
		operator := map[int]string{-1: "lt", 0: "eq", 1: "gt"}[c.want]
		if out, err := exec.Command("dpkg", "--compare-versions", c.a, operator, c.b).CombinedOutput(); err != nil {
			t.Errorf("dpkg does not agree that %s is %s %s: %s", c.a, operator, c.b, out)
		}
	}
}

func FuzzInstalled(f *testing.F) {
	f.Add("Package: a\nStatus: install ok installed\nVersion: 1\n\n")
	f.Fuzz(func(t *testing.T, status string) {
		list, err := Installed(strings.NewReader(status))
		for _, p := range list {
			if err == nil && (p.ID() == "" || p.Version == "") {
				t.Errorf("%+v", p)
			}
		}
	})
}

func FuzzCompare(f *testing.F) {
	for _, c := range compared {
		f.Add(c.a, c.b)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if Compare(a, b) != -Compare(b, a) || Compare(a, a) != 0 {
			t.Errorf("%q and %q: %d and %d", a, b, Compare(a, b), Compare(b, a))
		}
	})
}
