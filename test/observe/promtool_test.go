package observe

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/needs"
)

// promtool returns the path of Prometheus' own tool. Debian's package of it starts a server when it is installed, so the
// tool is extracted from the package, once.
func promtool(t *testing.T) string {
	t.Helper()
	needs.Cluster(t)
	if path, err := exec.LookPath("promtool"); err == nil {
		return path
	}
	cache, err := lab.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "promtool")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", "-euc", "apt-get -q download prometheus && dpkg-deb -x prometheus_*.deb . && chmod 755 usr/bin/promtool")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	needs.That(t, err == nil, "promtool is not in the PATH, and apt cannot download it: %v\n%s", err, out)
	b, err := os.ReadFile(filepath.Join(dir, "usr/bin/promtool"))
	if err != nil {
		t.Fatal(err)
	}
	// Another test may do the same at this time: the name appears when the file is complete.
	if err := os.WriteFile(path+fmt.Sprint(".", os.Getpid()), b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+fmt.Sprint(".", os.Getpid()), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// lint checks a page with promtool.
func lint(t *testing.T, tool, page string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool, "check", "metrics")
	cmd.Stdin = strings.NewReader(page)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s\n%s", err, out, page)
	}
}

// situation is what Prometheus scraped from both nodes during a problem, and the alerts that it must raise.
type situation struct {
	name    string
	healthy []string // the pages before the problem
	pages   []string
	alerts  []string
	at      string // time after the beginning; the problem begins after 10 minutes
}

// series returns the values of the pages' series, in the notation of promtool's tests.
func series(pages []string) map[string]string {
	all := map[string]string{}
	form := regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? (\S+)$`)
	for i, page := range pages {
		target := fmt.Sprintf(`job="hapair-controllers", instance="192.168.56.10%d:9736"`, i+1)
		all["up{"+target+"}"] = map[bool]string{true: "1", false: "0"}[page != ""]
		for line := range strings.Lines(page) {
			m := form.FindStringSubmatch(strings.TrimSpace(line))
			if m == nil {
				continue // a comment
			}
			labels := target
			if m[2] != "" {
				labels += ", " + m[2]
			}
			all[m[1]+"{"+labels+"}"] = m[3]
		}
	}
	return all
}

// judge evaluates the alert rules with promtool: ten minutes of a healthy pair, and then one situation.
func judge(t *testing.T, tool string, situations []situation) {
	t.Helper()
	rules, err := filepath.Abs("../../docs/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var tests []any
	raised := map[string]bool{}
	for _, s := range situations {
		before, after := series(s.healthy), series(s.pages)
		names := maps.Clone(before)
		maps.Copy(names, after)
		var input []any
		for _, name := range slices.Sorted(maps.Keys(names)) {
			input = append(input, map[string]string{"series": name, "values": constant(before[name], 10) + " " + constant(after[name], 300)})
		}
		var firing []any
		for _, alert := range s.alerts {
			firing = append(firing, map[string]any{"labels": fmt.Sprintf("{alertname=%q}", alert), "value": 1})
			raised[alert] = true
		}
		expr := `max by (alertname) (ALERTS{alertstate="firing"})`
		tests = append(tests, map[string]any{"name": s.name, "interval": "1m", "input_series": input, "promql_expr_test": []any{
			map[string]any{"expr": expr, "eval_time": "9m"}, // no alert while the pair is healthy
			map[string]any{"expr": expr, "eval_time": s.at, "exp_samples": firing},
		}})
	}
	data, err := yaml.Marshal(map[string]any{"rule_files": []string{rules}, "evaluation_interval": "15s", "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tests.yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), tool, "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
	text, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)- alert: (\w+)$`).FindAllStringSubmatch(string(text), -1) {
		if !raised[m[1]] {
			t.Errorf("no situation raises %s", m[1])
		}
	}
}

// constant returns a value, or a missing value, that stays the same.
func constant(value string, minutes int) string {
	if value == "" {
		return fmt.Sprintf("_x%d", minutes)
	}
	return fmt.Sprintf("%s+0x%d", value, minutes)
}
