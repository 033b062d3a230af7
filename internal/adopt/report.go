package adopt

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Proof is the comparison of the old file with the new one.
type Proof struct {
	Equal       bool         `json:"equal"`
	Frontends   int          `json:"frontends"`
	Backends    int          `json:"backends"`
	Servers     int          `json:"servers"`
	Differences []Difference `json:"differences,omitempty"`
}

// Prove compares the old haproxy.cfg with the rendered one.
func (r *Result) Prove(rendered string) Proof {
	p := Proof{Equal: true}
	for name, h := range newView(r.old).halves {
		switch {
		case strings.HasPrefix(name, "frontend ") && len(h.lists["bind"]) > 0:
			p.Frontends++
		case strings.HasPrefix(name, "backend ") && len(h.lists["server"])+len(h.lists["server-template"]) > 0:
			p.Backends++
			p.Servers += len(h.lists["server"])
		}
	}
	p.Differences = r.Compare(rendered)
	for _, d := range p.Differences {
		p.Equal = p.Equal && d.Why != ""
	}
	return p
}

// titles of the parts of the report, in order.
var titles = []struct {
	kind  Kind
	title string
}{
	{Lost, "Not taken: do this by hand"},
	{Wrong, "Wrong with the old pair"},
	{Missing, "Missing: supply this"},
	{Changed, "Done in another way"},
	{Lines, "Passed through as lines, because there is no field"},
}

// Print writes the report.
func (r *Result) Print(w io.Writer, p Proof) {
	fmt.Fprintf(w, "Taken by fields: %s.\n", r.taken())
	for _, t := range titles {
		var list []Finding
		for _, f := range r.Findings {
			if f.Kind == t.kind {
				list = append(list, f)
			}
		}
		if len(list) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s (%d)\n", t.title, len(list))
		for _, f := range list {
			fmt.Fprintf(w, "  %s\n", f.oneLine())
			if f.Hint != "" {
				fmt.Fprintf(w, "      %s\n", f.Hint)
			}
		}
	}
	fmt.Fprintf(w, "\nProof: haproxy.cfg as rendered from the spec, against the old file: %s, %s, %s\n",
		counted(p.Frontends, "frontends"), counted(p.Backends, "backends"), counted(p.Servers, "servers"))
	for _, d := range p.grouped() {
		why := d.Why
		if why == "" {
			why = "NOT MEANT"
		}
		switch {
		case d.Old == "":
			fmt.Fprintf(w, "  %s: also has %q: %s\n", d.Where, d.New, why)
		case d.New == "":
			fmt.Fprintf(w, "  %s: lacks %q: %s\n", d.Where, d.Old, why)
		default:
			fmt.Fprintf(w, "  %s: %q instead of %q: %s\n", d.Where, d.New, d.Old, why)
		}
	}
	if p.Equal {
		fmt.Fprintln(w, "  They do the same.")
	}
}

// grouped puts the differences that hapair means into one for each kind.
func (p *Proof) grouped() []Difference {
	var out []Difference
	where := map[Difference][]string{}
	for _, d := range p.Differences {
		at := d.Where
		if d.Why == "" {
			out = append(out, d)
			continue
		}
		d.Where = ""
		if where[d] == nil {
			out = append(out, d)
		}
		where[d] = append(where[d], at)
	}
	for i, d := range out {
		if at := where[d]; len(at) > 0 {
			out[i].Where = at[0]
			if len(at) > 1 {
				out[i].Where = fmt.Sprintf("%s and %d more", at[0], len(at)-1)
			}
		}
	}
	return out
}

// oneLine is a finding with its place.
func (f Finding) oneLine() string {
	var b strings.Builder
	if f.File != "" {
		fmt.Fprintf(&b, "%s:%d: ", f.File, f.Line)
	}
	if f.Kind == Lines {
		fmt.Fprintf(&b, "%s: ", f.Path)
	}
	b.WriteString(f.Message)
	return b.String()
}

// taken lists how many of each were taken.
func (r *Result) taken() string {
	var out []string
	for _, k := range []string{"nodes", "vips", "services", "routes", "backends", "servers", "files"} {
		if n := r.Fields[k]; n > 0 {
			out = append(out, counted(n, k))
		}
	}
	if r.Fields["stats"] > 0 {
		out = append(out, "the stats page")
	}
	if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind == Lines }) {
		out = append(out, "nothing is left as lines")
	}
	return strings.Join(out, ", ")
}

// counted returns a number of things, which are named in the plural: "2 nodes", "1 node".
func counted(n int, things string) string {
	if n == 1 {
		things = strings.TrimSuffix(things, "s")
	}
	return fmt.Sprintf("%d %s", n, things)
}
