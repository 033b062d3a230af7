package docs

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/hapair/hapair/internal/agent/metrics"
)

const metricsIntroduction = `# Metrics

<!-- Written by "make generate" out of internal/agent/metrics: change it there. -->

` + "`ha-agent run`" + ` answers Prometheus on the address that the spec's ` + "`agent.metrics`" + ` names, at ` + "`/metrics`" + `; without one it
answers nobody. ` + "`agent.allow`" + ` lists the networks that may ask. haproxy's own metrics are beside its stats page.
Up to 16 connections are open at once, up to 4 of them from one source (an IPv6 source is a /64), and one that is idle for
30 seconds is closed. A connection that comes when the limit is reached replaces an idle one of the source that has the
most, so that no client keeps the others out.

[alerts.yaml](alerts.yaml) has alert rules, [grafana-dashboard.json](grafana-dashboard.json) a dashboard. Both expect
that each cluster is scraped as a job of its own whose name begins with ` + "`hapair`" + `:

` + "```yaml" + `
scrape_configs:
  - job_name: hapair-controllers
    static_configs:
      - targets: [192.168.56.101:9736, 192.168.56.102:9736]
rule_files: [alerts.yaml]
` + "```" + `

| metric | type | labels | |
|---|---|---|---|
`

// Metrics is the page about the agent's metrics.
func Metrics() []byte {
	var b bytes.Buffer
	b.WriteString(metricsIntroduction)
	for _, m := range metrics.All() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, strings.Join(m.Labels, ", "), cell(m.Help))
	}
	return b.Bytes()
}
