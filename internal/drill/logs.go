package drill

import (
	"strings"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/redact"
	"github.com/hapair/hapair/internal/wellknown"
)

// shownLogs returns log lines of a host without secrets: haproxy and keepalived quote lines of their configuration, which
// can contain secrets.
func shownLogs(h *lab.Host, logs string) string {
	var files [][]byte
	for _, path := range []string{wellknown.HAProxyConfig, wellknown.KeepalivedConfig} {
		if data, err := h.ReadFile(path); err == nil {
			files = append(files, data)
		}
	}
	return hideQuotes(redact.NewConfig(files...), logs)
}

// hideQuotes redacts the log lines of haproxy and keepalived.
func hideQuotes(c *redact.Config, logs string) string {
	lines := strings.Split(logs, "\n")
	for i, line := range lines {
		if lower := strings.ToLower(line); strings.Contains(lower, "haproxy") || strings.Contains(lower, "keepalived") {
			lines[i] = c.Message(line)
		}
	}
	return strings.Join(lines, "\n")
}
