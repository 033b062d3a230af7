package bench

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "update the page in docs from its results")

// TestPageIsOfItsResults checks that the page in docs and its pictures agree with the results.
func TestPageIsOfItsResults(t *testing.T) {
	const docs = "../../docs"
	r, err := Load(filepath.Join(docs, "performance.json"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if *update {
			if err := os.WriteFile(filepath.Join(docs, name), want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(filepath.Join(docs, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s does not agree with performance.json (-want +got):\n%s", name, diff)
		}
	}
	pictures, err := filepath.Glob(filepath.Join(docs, "performance-*.svg"))
	if err != nil || len(pictures) != len(files)-1 || len(pictures) < 3 {
		t.Errorf("found %d pictures, want %d (%v)", len(pictures), len(files)-1, err)
	}
}

func TestSample(t *testing.T) {
	s := Sample{Values: []float64{4, 1, 3, 2}}
	for _, c := range []struct{ got, want float64 }{{s.Median(), 2.5}, {s.quantile(0.25), 1.75}, {s.Worst(), 4}, {Sample{}.Median(), 0}} {
		if c.got != c.want {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	for _, c := range []struct {
		s    Sample
		want string
	}{
		{s, "**2.50** (1.75–3.25, 4.00)"},
		{Sample{Values: []float64{15000, 15000}, AtLeast: true, Note: "two holders for 3.00"}, "**never** in 15,000<br>two holders for 3.00"},
		{Sample{}, "–"},
	} {
		if got := cell(c.s); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestTableFillsUp(t *testing.T) {
	var table Table
	table.add("a", "x", Sample{Note: "1"})
	table.add("b", "y", Sample{Note: "2"})
	table.add("a", "z", Sample{Note: "3"})
	want := []Row{{"a", []Sample{{Note: "1"}, {}, {Note: "3"}}}, {"b", []Sample{{}, {Note: "2"}, {}}}}
	if diff := cmp.Diff(want, table.Rows); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNumber(t *testing.T) {
	for value, want := range map[float64]string{0.5: "0.50", 12.34: "12.3", 345.6: "346", 1234.5: "1,235", 999.7: "1,000", 15000: "15,000", 1234567: "1,234,567"} {
		if got := number(value); got != want {
			t.Errorf("%v is %s, want %s", value, got, want)
		}
	}
}
