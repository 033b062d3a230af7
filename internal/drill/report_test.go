package drill

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/lab/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fixed returns a report with every feature.
func fixed() *Report {
	r := &Report{
		Cluster: "edge", Spec: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Took: "2m3s", Release: "trixie", Machine: "2 processors",
		Versions: map[string]string{"haproxy": "3.0.11", "keepalived": "2.3.3", "system": "Debian GNU/Linux 13 (trixie)", "kernel": "6.12.1"},
		AdvertMS: 250, AskMS: 5, MaxGapMS: 700, Nodes: []string{"edge1", "edge2"},
		VIPs: []Asked{{Name: "first", Address: "10.30.0.101", URL: "http://10.30.0.101:80/"}, {Name: "second", Address: "10.30.0.102", URL: "http://10.30.0.102:80/"},
			{Name: "third", Address: "10.30.0.103", Why: "its network is unknown: give the address a prefix length"}},
		Notes:    []string{"<b>no client</b> tests third"},
		Problems: []string{"keepalived on edge2 is failed (failed), result exit-code, last exit status 2"},
		Ended:    "the drill ended at fault 3 of 13, link-cut: it was interrupted",
	}
	kill := Run{Struck: "edge1", Stretch: Stretch{-500, 2500}, Served: 30, Repaired: 540, By: byTrackFile, TrackFile: 8.2, VIPs: []VIPRun{
		{Name: "first", Struck: true, Before: "edge1", During: "edge2", After: "edge1", Moved: 22, Alone: 1800, Asked: true, Requests: 600, Lost: 4, Gap: 31,
			Holdings: []Holding{{"edge1", Stretch{-500, 20}}, {"edge2", Stretch{22, 1800}}, {"edge1", Stretch{1795, 2500}}}, Overlap: 5,
			Gaps: []Stretch{{2, 33}}, Losses: []Loss{{Stretch{0, 15}, 4}}},
		{Name: "second", Before: "edge2", During: "edge2", After: "edge2", Alone: -500, Asked: true, Requests: 600, Gap: 9.4,
			Holdings: []Holding{{"edge2", Stretch{-500, 2500}}}},
	}}
	crash := Run{Struck: "edge2", Stretch: Stretch{-500, 21000}, Served: 900, Repaired: 1400, Problems: []string{"second gave no answer for 812 ms, longer than 700ms"},
		VIPs: []VIPRun{
			{Name: "first", Before: "edge1", During: "edge1", After: "edge1", Alone: -500, Asked: true, Requests: 4000, Gap: 12, Holdings: []Holding{{"edge1", Stretch{-500, 21000}}}},
			{Name: "second", Struck: true, Before: "edge2", During: "edge1", After: "edge1", Moved: 804, Alone: 804, Asked: true, Requests: 4000, Lost: 170, Gap: 812,
				Holdings: []Holding{{"edge2", Stretch{-500, 3}}, {"edge1", Stretch{804, 21000}}}, Gaps: []Stretch{{0, 812}}, Losses: []Loss{{Stretch{0, 810}, 170}}},
		}}
	r.add(drilled{Fault: fault.Fault{Name: "haproxy-kill", Title: "haproxy killed"}}, []Run{kill, kill})
	r.add(drilled{Fault: fault.Fault{Name: "node-crash", Title: "node's power cut"}}, []Run{crash})
	r.judge()
	return r
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is out of date; run 'go test ./internal/drill -update' (-file +generated):\n%s", path, diff)
	}
}

func TestHTML(t *testing.T) {
	var b bytes.Buffer
	if err := fixed().HTML(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.html", b.Bytes())
	page := b.String()
	if strings.Contains(page, "<b>no client") {
		t.Error("text of a spec is not escaped")
	}
	// The page must not load anything; addresses in it are text.
	if found := regexp.MustCompile(`(?i)<(script|link|img|iframe)|\s(src|href)="[^#"]|url\(|@import`).FindString(page); found != "" {
		t.Errorf("the page refers to another file: %q", found)
	}
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1) {
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("a drawing is not well-formed: %v\n%s", err, svg)
			}
		}
	}
}

func TestPrint(t *testing.T) {
	var b bytes.Buffer
	if err := fixed().Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, f := range fixed().Faults {
		for _, run := range f.Runs {
			b.WriteString(told(drilled{Fault: fault.Fault{Name: f.Name}}, run) + "\n")
		}
	}
	golden(t, "report.txt", b.Bytes())
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := fixed().JSON(&b); err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fixed(), &got); diff != "" {
		t.Errorf("decoding the JSON gives another report:\n%s", diff)
	}
}

// A scale must keep the order of times, show early times wide, and stay within its bounds.
func TestScale(t *testing.T) {
	for _, f := range fixed().Faults {
		s := newScale(f.Runs[0], chartLeft)
		last := s.x0 - 1
		for m := s.from; m <= s.to; m += (s.to - s.from) / 500 {
			x := s.x(m)
			if x < last || x < s.x0 || x > s.x1 {
				t.Fatalf("%s: %v is at %v, after %v, of %v to %v", f.Name, m, x, last, s.x0, s.x1)
			}
			last = x
		}
		if s.x(s.to+1000) != s.x1 || s.x(s.from-1000) != s.x0 {
			t.Errorf("%s: a time outside the scale is drawn outside", f.Name)
		}
		v := f.Runs[0].VIPs
		for i := range v {
			if v[i].Moved > 0 && s.x(v[i].Moved)-s.x(0) < 40 {
				t.Errorf("%s: a move after %v has %v pixels", f.Name, v[i].Moved, s.x(v[i].Moved)-s.x(0))
			}
		}
	}
}

func TestNiceStep(t *testing.T) {
	for in, want := range map[float64]float64{1: 1, 1.1: 2, 3: 5, 6: 10, 11: 20, 450: 500} {
		if got := niceStep(in); got != want {
			t.Errorf("step for %v is %v, want %v", in, got, want)
		}
	}
}
