// Package bench compares hapair with common setups in one run, and writes the results as JSON, as a page with tables, and as
// pictures.
package bench

import (
	"encoding/json"
	"math"
	"os"
	"regexp"
	"slices"
	"time"
)

// Results are the results of one run.
type Results struct {
	Date     time.Time         `json:"date"`
	Took     string            `json:"took"`
	Machine  Machine           `json:"machine"`
	Versions map[string]string `json:"versions"` // versions of the measured software, by the name of a release or a program
	Tables   []*Table          `json:"tables"`
}

// Table is one kind of measurement, with the measured things as rows and the candidates as columns.
type Table struct {
	Name    string   `json:"name"` // also the name of its picture
	Title   string   `json:"title"`
	About   string   `json:"about"` // how it was measured, as text
	Unit    string   `json:"unit"`
	What    string   `json:"what"` // heading of the column with the rows' names
	Columns []string `json:"columns"`
	Rows    []Row    `json:"rows"`
}

// Row is a row of a table.
type Row struct {
	Name  string   `json:"name"`
	Cells []Sample `json:"cells"` // one for each column
}

// Sample is the result of one measurement.
type Sample struct {
	Values []float64 `json:"values,omitempty"` // none if it was not, or cannot be, measured
	// AtLeast means that the last value is the time limit: it would have taken longer, or forever.
	AtLeast bool   `json:"at_least,omitempty"`
	Note    string `json:"note,omitempty"` // additional information in a few words
}

// add adds a row to a table, or a cell to the existing row of that name.
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

// quantile returns the value below which a share q of the sample lies, with linear interpolation.
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

// Median returns the median of the sample.
func (s Sample) Median() float64 { return s.quantile(0.5) }

// Worst returns the largest value of the sample.
func (s Sample) Worst() float64 { return s.quantile(1) }

// Load reads results that JSON has encoded.
func Load(path string) (*Results, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Results)
	return r, json.Unmarshal(data, r)
}

// JSON encodes the results for Load. The values of a sample are on one line, because there are many.
func (r *Results) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return nil, err
	}
	blanks := regexp.MustCompile(`\s+`)
	return append(regexp.MustCompile(`\[[-+.eE0-9,\s]+\]`).ReplaceAllFunc(data, func(b []byte) []byte { return blanks.ReplaceAll(b, nil) }), '\n'), nil
}

// milliseconds converts a duration for a table, with a precision of one microsecond.
func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}
