package verify

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzResults decodes any bytes as the output of `ha-agent verify --json` on a node, and prints the results.
func FuzzResults(f *testing.F) {
	for _, text := range []string{
		`[{"what": "haproxy runs", "ok": true, "detail": "process 1"}, {"what": "x", "why": "y", "way_out": "z"}]`, `null`, `[null, {}]`, `{}`, `[{"what": 1}]`, `[`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var results Results
		if json.Unmarshal(data, &results) != nil {
			return
		}
		var out strings.Builder
		results.Print(&out)
		if len(results) > 0 && out.Len() == 0 {
			t.Error("the results were not printed")
		}
		all := true
		for _, r := range results {
			all = all && r.OK
		}
		if results.OK() != all {
			t.Errorf("OK = %v for %+v", results.OK(), results)
		}
	})
}
