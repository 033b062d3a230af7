package drill

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
)

//go:embed report.html.tmpl
var page string

// JSON writes the report as JSON.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// HTML writes the report as one page, which does not load other files.
func (r *Report) HTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"show":     show,
		"timeline": func(run Run) chart { return timeline(run, r.Nodes) },
		"overview": func() chart { return overview(r) },
		"color":    color,
		"holders":  holders,
		"first":    func(s string) string { return s[:min(len(s), 12)] },
		"duration": func(m Millis) string { return m.Duration().String() },
		"plural":   plural,
		"asked":    r.asked,
		"versions": func() []string { return slices.Sorted(maps.Keys(r.Versions)) },
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	return t.Execute(w, r)
}

// asked describes the VIPs that clients tested.
func (r *Report) asked() string {
	n := len(r.VIPs) - len(r.NotAsked())
	switch {
	case n == len(r.VIPs):
		return "each virtual IP"
	case n == 0:
		return "no virtual IP"
	}
	return fmt.Sprintf("%d of %d virtual IPs", n, len(r.VIPs))
}

// holders describes where a VIP was.
func holders(v VIPRun) string {
	to := newNode(v)
	switch {
	case v.After == "":
		return "is on no node"
	case to == v.Before:
		return "stayed on " + v.After
	case to == v.After:
		return v.Before + " → " + to
	}
	return v.Before + " → " + to + " → " + v.After
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
