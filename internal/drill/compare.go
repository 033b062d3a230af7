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
	Pairs       []pairOfCells // one for each VIP
	Why         string
}

// pairOfCells is a fault's result for a VIP in both drills. A nil cell means that the VIP was not on a struck node.
type pairOfCells struct {
	VIP      string
	Services string // of the VIP, as text
	Old, New *cell
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

// rows returns the faults of the old pair's drill with the results of both.
func (c *Comparison) rows() []row {
	var out []row
	for _, old := range c.Old.Faults {
		i := slices.IndexFunc(c.New.Faults, func(f Fault) bool { return f.Name == old.Name })
		if i < 0 {
			continue
		}
		r := row{Name: old.Name, Title: old.Title, Why: c.Why[old.Name]}
		before, after := cells(old, c.New.AdvertMS), cells(c.New.Faults[i], c.New.AdvertMS)
		for _, v := range c.New.VIPs {
			p := pairOfCells{VIP: v.Name, Services: few(v.Services), Old: cellOf(before, v.Name), New: cellOf(after, v.Name)}
			if p.Old != nil || p.New != nil {
				r.Pairs = append(r.Pairs, p)
			}
		}
		out = append(out, r)
	}
	return out
}

func cellOf(cells []cell, vip string) *cell {
	if i := slices.IndexFunc(cells, func(c cell) bool { return c.VIP == vip }); i >= 0 {
		return &cells[i]
	}
	return nil
}

// few lists names, but at most four.
func few(names []string) string {
	const most = 4
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
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

// gone reports whether clients got no answer until the repair.
func (c *cell) gone() bool { return c.Never && c.Gap >= millis(neverAfter/2) }

// String is the result in a few words.
func (c *cell) String() string {
	if c == nil {
		return "not struck"
	}
	var text string
	switch {
	case !c.Asked:
		text = "not tested"
	case c.gone():
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
func (c *cell) Bad() bool { return c != nil && (c.Never || c.Gap >= 1000 || c.Two > 0) }

// outcome is the worst of all faults for a VIP, in both drills.
type outcome struct {
	VIP, Services string
	Old, New      string
	Bad           bool // clients notice the old pair's faults
}

// outcomes returns the outcome for each VIP that a client tested.
func (c *Comparison) outcomes() []outcome {
	var out []outcome
	rows := c.rows()
	for _, v := range c.New.VIPs {
		before, after := map[string]*cell{}, map[string]*cell{}
		for _, r := range rows {
			for _, p := range r.Pairs {
				if p.VIP == v.Name && p.Old != nil && p.New != nil && p.Old.Asked && p.New.Asked {
					before[r.Title], after[r.Title] = p.Old, p.New
				}
			}
		}
		if len(before) > 0 {
			old, bad := atWorst(rows, before)
			now, _ := atWorst(rows, after)
			out = append(out, outcome{v.Name, few(v.Services), old, now, bad})
		}
	}
	return out
}

// atWorst describes the longest time without an answer, and the faults after which there was none.
func atWorst(rows []row, cells map[string]*cell) (text string, bad bool) {
	var worst *cell
	var title string
	var never []string
	var two Millis
	for _, r := range rows {
		c := cells[r.Title]
		switch {
		case c == nil:
			continue
		case c.gone():
			never = append(never, r.Title)
		case worst == nil || c.Gap > worst.Gap:
			worst, title = c, r.Title
		}
		bad, two = bad || c.Bad(), max(two, c.Two)
	}
	if worst != nil {
		text = fmt.Sprintf("no answer for up to %s (%s)", show(worst.Gap), title)
	}
	if len(never) > 0 {
		text = strings.TrimPrefix(text+", and none at all after: "+strings.Join(never, ", "), ", and ")
	}
	if two > 0 {
		text += fmt.Sprintf("; two holders for up to %s", show(two))
	}
	return text, bad
}

// Print writes the comparison as a table.
func (c *Comparison) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FAULT\tVIP\tYOURS\tWITH HAPAIR")
	rows := c.rows()
	for _, r := range rows {
		if len(r.Pairs) == 0 {
			fmt.Fprintf(t, "%s\t-\tnot measured: the VIP had just moved\t-\n", r.Title)
		}
		for i, p := range r.Pairs {
			title := r.Title
			if i > 0 {
				title = ""
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", title, p.VIP, p.Old, p.New)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, r := range rows {
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
	for _, v := range c.outcomes() {
		fmt.Fprintf(w, "\n%s (%s)\n  yours:       %s\n  with hapair: %s\n", v.VIP, v.Services, v.Old, v.New)
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
		Rows     []row
		Outcomes []outcome
		Left     []string
	}{c, c.rows(), c.outcomes(), c.left()})
}

// bar is the length of a gap in percent of the longest one, at least 1.
func (c *Comparison) bar(gap Millis) int {
	var most Millis = 1
	for _, r := range c.rows() {
		for _, p := range r.Pairs {
			for _, cell := range []*cell{p.Old, p.New} {
				if cell != nil {
					most = max(most, cell.Gap)
				}
			}
		}
	}
	return max(1, int(100*gap/most))
}
