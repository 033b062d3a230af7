package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab/fault"
	"github.com/hapair/hapair/internal/testing/needs"
)

// unwieldy returns a report that is hard to draw: three nodes and three VIPs with long names, one of them dual stack, a
// fault that failed with long texts, and twenty runs.
func unwieldy() *Report {
	r := fixed()
	r.Cluster = strings.Repeat("cluster-", 12) + "end"
	r.Nodes = []string{"load-balancer-number-one-of-the-first-hall-of-the-data-centre-a", "lb2", strings.Repeat("wm", 31)}
	names := []string{"public (IPv4)", "public (IPv6)", strings.Repeat("virtual-", 15), "third"}
	r.VIPs = nil
	for _, name := range names {
		r.VIPs = append(r.VIPs, Asked{Name: name, Address: "2001:db8:1234:5678:9abc:def0:1234:5678", URL: "https://[2001:db8:1234:5678:9abc:def0:1234:5678]:8443/" + strings.Repeat("path/", 20)})
	}
	r.Notes = []string{strings.Repeat("a server that is left out, with an address of many_digits_in_one_word ", 5), strings.Repeat("x", 300)}
	// Moves take from about 1 ms to one minute, and the windows are as long.
	run := func(i int) Run {
		moved := Millis(1+i*i*i) * 7
		end := moved*Millis(2+i%5) + 900
		from, to := r.Nodes[i%3], r.Nodes[(i+1)%3]
		run := Run{Struck: from, Stretch: Stretch{-500, end}, Served: moved, Repaired: min(moved+500, end-100)}
		for j, name := range names {
			v := VIPRun{Name: name, Before: to, During: to, After: to, Asked: j != 3, Requests: 123456, Gap: 4.9, Holdings: []Holding{{to, Stretch{-500, end}}}}
			if j == i%4 {
				v.Struck, v.Before, v.Moved, v.Gap, v.Lost = true, from, moved, moved, 12345
				v.Holdings = []Holding{{from, Stretch{-500, 2}}, {to, Stretch{moved, end}}}
				v.Gaps, v.Losses = []Stretch{{0, moved}}, []Loss{{Stretch{0, moved}, 12345}}
			}
			run.VIPs = append(run.VIPs, v)
		}
		return run
	}
	var runs, failed []Run
	for i := range 20 {
		runs = append(runs, run(i))
	}
	for i := range 3 {
		bad := run(i * 8)
		bad.Problems = []string{"it did not settle: " + strings.Repeat("haproxy does not answer on lb2: ", 20), strings.Repeat("/a/path/without/a/blank", 20) + "\n  and another line"}
		failed = append(failed, bad)
	}
	r.Faults = nil
	r.add(drilled{Fault: fault.Fault{Name: "keepalived-stop", Title: "keepalived stopped"}}, runs)
	r.add(drilled{Fault: fault.Fault{Name: "node-freeze", Title: "node paused for 3 s"}, parted: true}, failed)
	return r
}

// flawed is a page with every kind of flaw that the test searches for.
const flawed = `<!DOCTYPE html><meta name="color-scheme" content="light dark"><body style="background: #fff">
<img src="http://missing.invalid/picture.png"><script>0</script><p style="color: #999">pale</p><div style="width: 2000px">wide</div>
<svg viewBox="0 0 960 100" style="width: 480px; font-size: 12px"><rect y="50" width="90" height="20"/><text x="5" y="65">barred</text>
<text x="300" y="20">first</text><text x="310" y="20">second</text><text x="940" y="20">outside</text></svg>`

// shownPage is a page in a window of the browser.
type shownPage struct {
	Name   string `json:"name"`
	HTML   string `json:"html"`
	Width  int    `json:"width"`
	Scheme string `json:"scheme"`
}

// inspected is the result of testdata/inspect.js for a page.
type inspected struct {
	Name     string
	Drawings int
	Texts    int
	Problems []string
}

// TestPageInABrowser opens pages in a wide and a narrow window, with the light and the dark color scheme. No page may load
// anything, contain text that is cut off, covered, too small or too pale, or be wider than the window.
func TestPageInABrowser(t *testing.T) {
	var pages []shownPage
	for name, r := range map[string]interface{ HTML(io.Writer) error }{"fixed": fixed(), "unwieldy": unwieldy(), "compared": compared()} {
		var page bytes.Buffer
		if err := r.HTML(&page); err != nil {
			t.Fatal(err)
		}
		for _, width := range []int{1280, 390} {
			for _, scheme := range []string{"light", "dark"} {
				pages = append(pages, shownPage{fmt.Sprintf("%s, %d pixels, %s", name, width, scheme), page.String(), width, scheme})
			}
		}
	}
	pages = append(pages, shownPage{"flawed", flawed, 390, "light"})
	found := inspect(t, pages)
	if len(found) != len(pages) {
		t.Fatalf("%d pages were inspected, want %d: %+v", len(found), len(pages), found)
	}
	for _, f := range found {
		switch {
		case f.Name == "flawed":
			findsFlaws(t, f.Problems)
		case !strings.HasPrefix(f.Name, "compared") && (f.Drawings < 3 || f.Texts < 100), f.Texts < 30:
			t.Errorf("%s: only %d drawings and %d texts", f.Name, f.Drawings, f.Texts)
		case len(f.Problems) > 0:
			t.Errorf("%s:\n  %s", f.Name, strings.Join(f.Problems, "\n  "))
		}
	}
}

// findsFlaws checks that the inspection finds every kind of flaw.
func findsFlaws(t *testing.T, problems []string) {
	t.Helper()
	for _, want := range []string{"it has a script", "it loads http://missing.invalid/picture.png", "pixels wide, in a window of 390", `"pale" has a contrast of 2\.`,
		`"first" and "second" overlap`, `"outside" is cut off`, `"barred" lies on a bar`, `"barred" is 6.0 pixels high`} {
		if !slices.ContainsFunc(problems, regexp.MustCompile(want).MatchString) {
			t.Errorf("the inspection did not find a flaw: %s\n  %s", want, strings.Join(problems, "\n  "))
		}
	}
}

// inspect shows pages in a browser without network.
func inspect(t *testing.T, pages []shownPage) []inspected {
	t.Helper()
	script, err := os.ReadFile("testdata/inspect.js")
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(pages) // < and > are written as \u003c and \u003e, so a page cannot end the script
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "all.html")
	all := fmt.Sprintf("<!DOCTYPE html>\n<meta charset=\"utf-8\"><body><pre id=\"found\"></pre>\n<script>const pages = %s;\n%s</script>", data, script)
	if err := os.WriteFile(file, []byte(all), 0o600); err != nil {
		t.Fatal(err)
	}
	out := browse(t, "file://"+file)
	match := regexp.MustCompile(`(?s)<pre id="found">(.*?)</pre>`).FindStringSubmatch(out)
	if match == nil {
		t.Fatalf("the browser shows:\n%s", out)
	}
	var found []inspected
	if err := json.Unmarshal([]byte(html.UnescapeString(match[1])), &found); err != nil {
		t.Fatalf("the page found %q: %v", match[1], err)
	}
	return found
}

// browse returns the DOM of a page after the browser has loaded it. It removes all files of the browser.
func browse(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, browser(t), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir="+dir, "--dump-dom", url)
	cmd.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir)
	cmd.WaitDelay = 10 * time.Second // its children hold its pipes and end after it
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd.Path, err, stderr.String())
	}
	return string(out)
}

// browser returns the path of Chromium, which has different names.
func browser(t *testing.T) string {
	t.Helper()
	needs.Programs(t)
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	needs.That(t, false, "chromium is not installed: run scripts/setup test")
	return ""
}
