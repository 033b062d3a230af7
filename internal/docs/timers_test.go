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

// TestTimers holds the table of docs/timers.md against the examples that it names: their advert_int, and three of them and
// the skew of the priority that the second node has (RFC 9568, 6.1).
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

// TestLinks sees that what the pages link to in this project is there.
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
		t.Errorf("only %d links: is this how they are written?", links)
	}
}
