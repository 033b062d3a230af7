package haproxycfg

import (
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/wellknown"
)

const checkLine = "stats socket /run/haproxy/check.sock mode 660 user root group hapair-check level user maxconn 100\n"

// Whatever the user writes, haproxy has the check's socket exactly once, and the check may open it; else it is an error.
func TestOneSocketForTheCheck(t *testing.T) {
	for name, c := range map[string]struct {
		own      string
		severity diag.Severity // of the problem; empty: none
		line     int
	}{
		"nothing":                       {"", "", 0},
		"another socket":                {"stats socket /run/other.sock", "", 0},
		"the same":                      {checkLine, "", 0},
		"open to all, as hapair's once": {"stats socket /run/haproxy/check.sock mode 666 level user", diag.Warning, 2},
		"by another name":               {"stats socket unix@/var/run/haproxy/check.sock mode 666", diag.Warning, 2},
		"root's":                        {"stats socket /run/haproxy/check.sock mode 600 level admin", diag.Error, 2},
		"another group's":               {"stats socket /run/haproxy/check.sock mode 660 group haproxy", diag.Error, 2},
		"twice":                         {checkLine + checkLine, diag.Error, 3},
		"another socket twice":          {"stats socket /run/x mode 660\nstats socket /run/x mode 660", "", 0},
		"a bind line's":                 {"maxconn 10\nfrontend f\n  bind /run/haproxy/check.sock", diag.Error, 0},
	} {
		for _, whole := range []bool{true, false} {
			s := pair()
			if whole {
				s.HAProxy.Config, s.HAProxy.ConfigContent = "own.cfg", []byte("global\n"+c.own+"\n")
			} else {
				s.HAProxy.Global = c.own
			}
			problems := SocketProblems(s)
			if c.severity == "" && len(problems) > 0 || c.severity != "" && (len(problems) != 1 || problems[0].Severity != c.severity) {
				t.Errorf("%s: problems %v, want %q", name, problems, c.severity)
				continue
			}
			if whole && len(problems) == 1 && (problems[0].Line != c.line) {
				t.Errorf("%s: the problem is at line %d, want %d", name, problems[0].Line, c.line)
			}
			conf, err := everything(s)
			if (err != nil) != (c.severity == diag.Error) {
				t.Errorf("%s: %v", name, err)
			}
			if err != nil {
				continue
			}
			if err := haproxy.CheckSocketError(conf, wellknown.CheckSocket); err != nil {
				t.Errorf("%s: %v in\n%s", name, err, conf)
			}
			if n := strings.Count(conf, "stats socket /run/haproxy/admin.sock"); n != 1 {
				t.Errorf("%s: %d admin sockets in\n%s", name, n, conf)
			}
		}
	}
}

// everything is what haproxy loads on a node.
func everything(s *spec.Spec) (string, error) {
	conf, err := Render(s, &s.Nodes[0], release.Version{2, 8, 0})
	if err != nil {
		return "", err
	}
	sockets, err := Sockets(s)
	return string(conf) + "\n" + string(sockets), err
}
