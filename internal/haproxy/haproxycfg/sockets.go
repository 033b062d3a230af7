package haproxycfg

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/wellknown"
)

// All sockets share maxStats connections (haproxy's default is ten). The check's socket must not use all of them, so that its
// clients cannot block root's use of the admin socket.
const (
	maxStats = 200
	maxCheck = 100
)

// sockets are hapair's own sockets, in the order of their lines.
var sockets = []struct{ path, line, comment string }{
	{wellknown.AdminSocket, "stats socket " + wellknown.AdminSocket + " mode 660 level admin expose-fd listeners", "for root"},
	{wellknown.CheckSocket, fmt.Sprintf("stats socket %s mode 660 user root group %s level user maxconn %d", wellknown.CheckSocket, wellknown.CheckUser, maxCheck),
		"what ha-agent check asks. haproxy lets every client of it edit ACLs and maps: it must not be open to all"},
}

// socketLines returns the lines of hapair's sockets, except those whose paths are taken.
func socketLines(taken []string) []string {
	var lines []string
	for _, s := range sockets {
		if !slices.Contains(taken, s.path) {
			lines = append(lines, "# "+s.comment, s.line)
		}
	}
	return lines
}

// Sockets returns the file with hapair's sockets that haproxy loads after a haproxy.cfg of the user (haproxy.SocketsFile); nil
// if haproxy.cfg is generated and has them itself. It returns an error if the check could not use its socket.
func Sockets(s *spec.Spec) ([]byte, error) {
	if s.HAProxy.Config == "" {
		return nil, nil
	}
	if problems := SocketProblems(s); problems.HasErrors() {
		return nil, problems
	}
	var b bytes.Buffer
	b.WriteString("# hapair's sockets, which haproxy loads after haproxy.cfg (/etc/default/haproxy). Written by bake.\n\nglobal\n")
	for _, line := range append(socketLines(takenPaths(s)), fmt.Sprintf("stats maxconn %d", maxStats)) {
		fmt.Fprintf(&b, "    %s\n", line)
	}
	return b.Bytes(), nil
}

// own returns the part of the configuration that the user wrote, and its key in the spec.
func own(s *spec.Spec) (conf, key string) {
	if s.HAProxy.Config != "" {
		return string(s.HAProxy.ConfigContent), "haproxy.config"
	}
	return "global\n" + s.HAProxy.Global + "\n" + s.HAProxy.Extra, "haproxy.global"
}

// takenPaths returns the paths of the sockets in the user's part of the configuration: haproxy would open a second socket with
// the same path, and confuse their permissions in a reload.
func takenPaths(s *spec.Spec) []string {
	conf, _ := own(s)
	var paths []string
	for _, socket := range haproxy.StatsSockets(conf) {
		paths = append(paths, socket.Path)
	}
	return paths
}

// SocketProblems reports problems in the user's part of the configuration that would keep the nodes from holding virtual IPs,
// although haproxy accepts it.
func SocketProblems(s *spec.Spec) diag.Problems {
	conf, key := own(s)
	var problems diag.Problems
	add := func(severity diag.Severity, line int, message string) {
		p := diag.Problem{Severity: severity, Path: key, Message: message, Hint: "remove the line: hapair makes the socket itself"}
		if s.HAProxy.Config != "" && line > 0 {
			p.File, p.Line, p.Column = s.HAProxy.Config, line, 1
			p.Source = strings.TrimRight(strings.Split(conf, "\n")[line-1], "\r")
		}
		problems = append(problems, p)
	}
	seen := map[string]bool{}
	for _, socket := range haproxy.StatsSockets(conf) {
		switch {
		case seen[socket.Path] && isOwn(socket.Path):
			add(diag.Error, socket.Line, fmt.Sprintf("there is another socket %s", socket.Path))
		case socket.Path != wellknown.CheckSocket:
		case !socket.OpenTo(wellknown.CheckUser):
			add(diag.Error, socket.Line, fmt.Sprintf("ha-agent check runs as the user %s, which cannot open %s: no node would hold a virtual IP",
				wellknown.CheckUser, socket.Path))
		case socket.OpenToAll():
			add(diag.Warning, socket.Line, fmt.Sprintf("every user of a node may open %s, and edit haproxy's ACLs and maps over it", socket.Path))
		}
		seen[socket.Path] = true
	}
	for _, path := range haproxy.UnixSockets(conf) {
		if isOwn(path) && !seen[path] {
			add(diag.Error, 0, fmt.Sprintf("a bind line has the path of hapair's socket %s", path))
		}
	}
	return problems
}

// isOwn reports whether a path is that of one of hapair's sockets.
func isOwn(path string) bool { return path == wellknown.AdminSocket || path == wellknown.CheckSocket }
