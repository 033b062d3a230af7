package main

import (
	"encoding/json"
	"io"
	"testing"

	"github.com/hapair/hapair/internal/agent/control"
)

// FuzzVerifyJSON reports on nodes that print any bytes as JSON.
func FuzzVerifyJSON(f *testing.F) {
	f.Add([]byte(`[{"what": "haproxy runs", "ok": true, "detail": "process 1"}, {"what": "x", "why": "y", "way_out": "z"}]`), []byte(`{"vips": [{"name": "v", "held": true, "addresses": ["192.0.2.1/24"]}]}`))
	f.Add([]byte(`null`), []byte(`null`))
	f.Add([]byte(`[null, {}]`), []byte(`{"vips": [null]}`))
	f.Add([]byte(`{}`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, steps, status []byte) {
		r := nodeReport{Node: "n"}
		var s control.Status
		if json.Unmarshal(steps, &r.Steps) != nil || json.Unmarshal(status, &s) != nil {
			return
		}
		r.VIPs = s.VIPs
		report := clusterReport{Nodes: []nodeReport{r, {Node: "m", Err: "cannot be asked"}}}
		for _, vip := range append(s.VIPs, control.VIP{Name: "v"}) {
			report.Cluster = append(report.Cluster, oneHolder(vip.Name, report.Nodes))
		}
		report.print(io.Discard)
		for _, asJSON := range []bool{false, true} {
			e := &env{stdout: io.Discard, stderr: io.Discard, json: asJSON}
			if err := e.report(report); err == nil {
				t.Error("a node that cannot be asked is a success")
			}
		}
	})
}
