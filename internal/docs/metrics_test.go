package docs

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/agent/metrics"
	"github.com/hapair/hapair/internal/testing/generated"
)

func TestMetrics(t *testing.T) {
	generated.Check(t, "../../docs/metrics.md", Metrics(), *update)
}

// expressions returns the values of all keys "expr" in v.
func expressions(v any) []string {
	var all []string
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if expr, ok := value.(string); ok && key == "expr" {
				all = append(all, expr)
			}
			all = append(all, expressions(value)...)
		}
	case []any:
		for _, value := range v {
			all = append(all, expressions(value)...)
		}
	}
	return all
}

// TestNamedMetricsExist checks that the agent has every metric that the dashboard and the alerts use.
func TestNamedMetricsExist(t *testing.T) {
	known := map[string]bool{}
	for _, m := range metrics.All() {
		known[m.Name] = true
	}
	name := regexp.MustCompile(`\b(hapair|process)_[a-z_]+\b`)
	for file, unmarshal := range map[string]func([]byte, any) error{"grafana-dashboard.json": json.Unmarshal, "alerts.yaml": yaml.Unmarshal} {
		data, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var content any
		if err := unmarshal(data, &content); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all := expressions(content)
		if len(all) < 8 {
			t.Errorf("%s has only %d expressions", file, len(all))
		}
		for _, expr := range all {
			for _, n := range name.FindAllString(expr, -1) {
				if !known[n] {
					t.Errorf("%s: %s: there is no metric %s", file, expr, n)
				}
			}
		}
	}
}
