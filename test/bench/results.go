// Package bench measures hapair beside what people use today, side by side in one run, and writes what it found: as JSON, as
// a page with tables, and as pictures.
package bench

import (
	"encoding/json"
	"math"
	"os"
	"regexp"
	"slices"
	"time"
)

// Results are what one run found.
type Results struct {
	Date     time.Time         `json:"date"`
	Took     string            `json:"took"`
	Machine  Machine           `json:"machine"`
	Versions map[string]string `json:"versions"` // of what was measured, by a release's or a program's name
	Tables   []*Table          `json:"tables"`
}

// Table is one kind of measurement: the same things (rows) done to or by several candidates (columns).
type Table struct {
	Name    string   `json:"name"` // of its picture
	Title   string   `json:"title"`
	About   string   `json:"about"` // how it was measured, in prose
	Unit    string   `json:"unit"`
	What    string   `json:"what"` // heads the column of the rows' names
	Columns []string `json:"columns"`
	Rows    []Row    `json:"rows"`
}

// Row is a line of a table.
type Row struct {
	Name  string   `json:"name"`
	Cells []Sample `json:"cells"` // one for each column
}

// Sample is what was measured of one thing.
type Sample struct {
	Values []float64 `json:"values,omitempty"` // none: it was not, or cannot be, done
	// AtLeast: the last of the values is as long as was waited for. It would have taken longer, or for ever.
	AtLeast bool   `json:"at_least,omitempty"`
	Note    string `json:"note,omitempty"` // besides, in a few words
}

// add puts a row into a table, or a cell for another column into the row of that name.
func (t *Table) add(row, column string, s Sample) {
	i := slices.Index(t.Columns, column)
	if i < 0 {
		i = len(t.Columns)
		t.Columns = append(t.Columns, column)
	}
	j := slices.IndexFunc(t.Rows, func(r Row) bool { return r.Name == row })
	if j < 0 {
		j = len(t.Rows)
		t.Rows = append(t.Rows, Row{Name: row})
	}
	for k := range t.Rows {
		for len(t.Rows[k].Cells) < len(t.Columns) {
			t.Rows[k].Cells = append(t.Rows[k].Cells, Sample{})
		}
	}
	t.Rows[j].Cells[i] = s
}

// quantile is the value below which a share q of the sample lies; linear between two of them.
func (s Sample) quantile(q float64) float64 {
	if len(s.Values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.Values))
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// Median of the sample.
func (s Sample) Median() float64 { return s.quantile(0.5) }

// Worst of the sample.
func (s Sample) Worst() float64 { return s.quantile(1) }

// Load reads results that Save has written.
func Load(path string) (*Results, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Results)
	return r, json.Unmarshal(data, r)
}

// JSON is what Load reads. Measurements stand in a line, because there are many of them.
func (r *Results) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return nil, err
	}
	blanks := regexp.MustCompile(`\s+`)
	return append(regexp.MustCompile(`\[[-+.eE0-9,\s]+\]`).ReplaceAllFunc(data, func(b []byte) []byte { return blanks.ReplaceAll(b, nil) }), '\n'), nil
}

// milliseconds for a table, to the microsecond.
func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}
