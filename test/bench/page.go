package bench

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

//go:embed page.md.tmpl
var pageTemplate string

// Files returns the page and its pictures, by file name.
func (r *Results) Files() (map[string][]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"cell":     cell,
		"drawn":    (*Table).drawn,
		"machine":  Machine.String,
		"versions": func() []string { return slices.Sorted(maps.Keys(r.Versions)) },
	}).Parse(pageTemplate)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := t.Execute(&page, r); err != nil {
		return nil, err
	}
	files := map[string][]byte{"performance.md": page.Bytes()}
	for _, table := range r.Tables {
		if !table.drawn() {
			continue
		}
		picture, err := table.picture()
		if err != nil {
			return nil, err
		}
		files["performance-"+table.Name+".svg"] = picture
	}
	return files, nil
}

func (m Machine) String() string {
	return fmt.Sprintf("%d processors (%s), %d GiB, %s, Linux %s; load average %s at the beginning and %s at the end",
		m.Processors, m.Processor, m.MemoryGiB, m.System, m.Kernel, m.LoadBefore, m.LoadAfter)
}

// cell formats a sample: its median, the middle half, and the worst value.
func cell(s Sample) string {
	var parts []string
	if len(s.Values) > 0 {
		text := fmt.Sprintf("**%s** (%s–%s, %s)", number(s.Median()), number(s.quantile(0.25)), number(s.quantile(0.75)), number(s.Worst()))
		if s.AtLeast {
			text = "**never** in " + number(s.Worst())
		}
		parts = append(parts, text)
	}
	if s.Note != "" {
		parts = append(parts, s.Note)
	}
	return strings.Join(append(parts, []string{"–"}[min(len(parts), 1):]...), "<br>")
}

// number formats a number with three digits and a separator for thousands.
func number(f float64) string {
	switch {
	case f >= 999.5:
		return count(int(math.Round(f)))
	case f >= 99.95:
		return fmt.Sprintf("%.0f", f)
	case f >= 9.995:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// count formats an integer with a separator for thousands.
func count(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", count(n/1000), n%1000)
}
