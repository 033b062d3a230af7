package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/spec"
)

// TestTimers compares the table of docs/timers.md with the examples that it names: advert_int, and the time until a dead node is
// replaced, which is three intervals and the skew time of the second node's priority (RFC 9568, section 6.1).
func TestTimers(t *testing.T) {
	page, err := os.ReadFile("../../docs/timers.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| [^|]+ \| ([^ ,|]+)[^|]* \| ([0-9.]+) s \|.*\[([a-z-]+)\.yaml\]`).FindAllStringSubmatch(string(page), -1)
	if len(rows) != 4 {
		t.Fatalf("the table has %d rows", len(rows))
	}
	for _, row := range rows {
		text, ok := examples.Get(row[3])
		if !ok {
			t.Errorf("there is no example %s", row[3])
			continue
		}
		s, problems := spec.Parse(row[3], text, spec.Sources{ReadFile: func(string) ([]byte, error) { return []byte("a password\n"), nil }})
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		interval := s.VRRP.AdvertInt
		skew := interval * time.Duration(256-s.PriorityOf(&s.Nodes[1], &s.VIPs[0])+s.HolderBonus()) / 256
		within := fmt.Sprintf("%.2g", (3*interval + skew).Seconds())
		if row[1] != interval.String() || row[2] != within {
			t.Errorf("%s has advert_int %s, and is replaced within %s s; the page says %s and %s s", row[3], interval, within, row[1], row[2])
		}
	}
}

// TestLinks checks that links to files of this repository are not broken.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	links := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, link[1], err)
			}
		}
	}
	if links < 10 {
		t.Errorf("found only %d links: does the pattern match all links?", links)
	}
}
