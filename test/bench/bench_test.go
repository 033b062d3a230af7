package bench

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	tries   = flag.Int("tries", 20, "how often each fault strikes")
	results = flag.String("results", "", "the `DIRECTORY` to write performance.json, performance.md and its pictures to")
)

// run collects the results of the benchmarks.
type run struct {
	mu    sync.Mutex
	began time.Time
	Results
}

// found is global, because benchmarks cannot take arguments.
var found = run{began: time.Now(), Results: Results{Machine: thisMachine(), Versions: map[string]string{}}}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if *results != "" && len(found.Tables) > 0 {
		if err := found.write(*results); err != nil {
			fmt.Fprintln(os.Stderr, "cannot write the results:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// write writes the results, even if a benchmark has failed, because the results may have taken an hour.
func (r *run) write(dir string) error {
	r.Date = r.began.UTC().Truncate(time.Second)
	r.Took = time.Since(r.began).Round(time.Second).String()
	r.Machine.LoadAfter = load()
	files, err := r.Files()
	if err != nil {
		return err
	}
	if files["performance.json"], err = r.JSON(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "wrote the results to %s\n", filepath.Join(dir, "performance.md"))
	return nil
}

// table returns the table with a name, and creates it if it does not exist.
func (r *run) table(t Table) *Table {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, have := range r.Tables {
		if have.Name == t.Name {
			return have
		}
	}
	r.Tables = append(r.Tables, &t)
	return &t
}

// tell prints progress, because a benchmark prints nothing itself before its end.
func tell(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05")}, args...)...)
}

// report also adds a sample to the benchmark's own output line.
func (s Sample) report(b *testing.B, unit string) {
	unit = strings.ReplaceAll(unit, " ", "-")
	b.ReportMetric(0, "ns/op")
	if len(s.Values) > 0 {
		b.ReportMetric(s.Median(), "median-"+unit)
		b.ReportMetric(s.Worst(), "worst-"+unit)
	}
}
