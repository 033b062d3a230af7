package redact

import (
	"strings"
	"testing"
)

func TestConfigLine(t *testing.T) {
	for line, want := range map[string]string{
		"  server w1 192.0.2.1:80 check":                           "  server w1 192.0.2.1:80 check",
		"+    auth_pass hunter2":                                   "+    auth_pass ***",
		"-\tstats auth ops:hunter2":                                "-\tstats auth ***",
		"  user ops password $5$abc$hunter2 groups x":              "  user ops password ***",
		"  user ops $5$abc$hunter2":                                "  user ops ***",
		`  http-request set-header Authorization "Bearer hunter2"`: "  http-request set-header Authorization ***",
		"  http-check send hdr X-Token hunter2":                    "  http-check send hdr X-Token ***",
		"  setenv API_TOKEN hunter2":                               "  setenv API_TOKEN ***",
		"  x token=hunter2 y":                                      "  x token=***",
		"  source http://u:hunter2@h/":                             "  source ***",
		`  tcp-check send "AUTH hunter2\r\n"`:                      `  tcp-check send "AUTH ***`,
		"":                                                         "",
		"  password":                                               "  password",
	} {
		got := ConfigLine(line)
		if got != want || strings.Contains(got, "hunter2") {
			t.Errorf("ConfigLine(%q) = %q, want %q", line, got, want)
		}
	}
}
