package drill

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

//go:embed compare.html.tmpl
var comparePage string

// Comparison is a drill of a pair that was set up by hand beside the drill of the spec, with the same faults.
type Comparison struct {
	Old *Report `json:"yours"`
	New *Report `json:"hapair"`
	// Why has the reasons for the results of the old pair, by fault.
	Why map[string]string `json:"why,omitempty"`
}

// row is a fault in both drills.
type row struct {
	Name, Title string
	Old, New    []cell // a cell for each VIP
	Why         string
}

// cell is the result of a fault for a VIP: the longest of all runs.
type cell struct {
	VIP   string
	Never bool // it was not served before the repair
	Gap   Millis
	Lost  int
	Two   Millis // two holders, for longer than an advertisement interval of the spec
	Asked bool
}

// rows returns the faults of the old pair's drill with their results.
func (c *Comparison) rows() []row {
	var out []row
	for _, old := range c.Old.Faults {
		i := slices.IndexFunc(c.New.Faults, func(f Fault) bool { return f.Name == old.Name })
		if i < 0 {
			continue
		}
		out = append(out, row{old.Name, old.Title, cells(old, c.New.AdvertMS), cells(c.New.Faults[i], c.New.AdvertMS), c.Why[old.Name]})
	}
	return out
}

// cells returns the worst result of each VIP that was on a struck node.
func cells(f Fault, advert Millis) []cell {
	var out []cell
	for _, r := range f.Runs {
		for _, v := range r.VIPs {
			if !v.Struck {
				continue
			}
			i := slices.IndexFunc(out, func(c cell) bool { return c.VIP == v.Name })
			if i < 0 {
				out, i = append(out, cell{VIP: v.Name}), len(out)
			}
			c := &out[i]
			c.Never = c.Never || r.Never
			c.Gap, c.Lost, c.Asked = max(c.Gap, v.Gap), max(c.Lost, v.Lost), c.Asked || v.Asked
			if v.Overlap > advert {
				c.Two = max(c.Two, v.Overlap)
			}
		}
	}
	return out
}

// String is the result in a few words.
func (c cell) String() string {
	var text string
	switch {
	case !c.Asked:
		text = "not tested"
	case c.Never && c.Gap >= millis(neverAfter/2):
		text = fmt.Sprintf("never: no answer for %s, until the repair", show(c.Gap))
	case c.Lost == 0 && c.Gap < 100:
		text = fmt.Sprintf("%s, nothing lost", show(c.Gap))
	default:
		text = fmt.Sprintf("%s, %d lost", show(c.Gap), c.Lost)
	}
	if c.Two > 0 {
		text += fmt.Sprintf("; two holders for %s", show(c.Two))
	}
	return text
}

// Bad reports whether clients notice the result: a second or more without an answer, or two holders.
func (c cell) Bad() bool { return c.Never || c.Gap >= 1000 || c.Two > 0 }

// Print writes the comparison as a table.
func (c *Comparison) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FAULT\tVIP\tYOURS\tWITH HAPAIR")
	for _, r := range c.rows() {
		if len(r.Old) == 0 {
			fmt.Fprintf(t, "%s\t-\tnot measured: the VIP had just moved\t-\n", r.Title)
		}
		for i, old := range r.Old {
			title, now := r.Title, "-"
			if i > 0 {
				title = ""
			}
			if j := slices.IndexFunc(r.New, func(c cell) bool { return c.VIP == old.VIP }); j >= 0 {
				now = r.New[j].String()
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", title, old.VIP, old, now)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, r := range c.rows() {
		if r.Why != "" {
			fmt.Fprintf(w, "%s: %s\n", r.Title, r.Why)
		}
	}
	for _, left := range c.left() {
		fmt.Fprintf(w, "not tried with yours, because it needs ha-agent: %s\n", left)
	}
	if c.Old.Ended != "" {
		fmt.Fprintf(w, "yours: %s\n", c.Old.Ended)
	}
	return nil
}

// left are the titles of the faults that only hapair was drilled with.
func (c *Comparison) left() []string {
	var out []string
	for _, f := range c.New.Faults {
		if !slices.ContainsFunc(c.Old.Faults, func(o Fault) bool { return o.Name == f.Name }) && c.Old.Ended == "" {
			out = append(out, f.Title)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return []string{strings.Join(out, ", ")}
}

// JSON writes both reports.
func (c *Comparison) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(c)
}

// HTML writes the comparison as one page, which does not load other files.
func (c *Comparison) HTML(w io.Writer) error {
	t, err := template.New("compare").Funcs(template.FuncMap{"bar": c.bar}).Parse(comparePage)
	if err != nil {
		return fmt.Errorf("cannot write the comparison: %w", err)
	}
	return t.Execute(w, struct {
		*Comparison
		Rows []row
		Left []string
	}{c, c.rows(), c.left()})
}

// bar is the length of a gap in percent of the longest one, at least 1.
func (c *Comparison) bar(gap Millis) int {
	var most Millis = 1
	for _, r := range c.rows() {
		for _, cell := range append(slices.Clone(r.Old), r.New...) {
			most = max(most, cell.Gap)
		}
	}
	return max(1, int(100*gap/most))
}
