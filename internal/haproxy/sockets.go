package haproxy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/haproxy/syntax"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/wellknown"
)

// socketsFile is the name of the file with hapair's own sockets, beside a haproxy.cfg that has none. It exists only then.
const socketsFile = "hapair.cfg"

// SocketsFile returns the path of the file with hapair's own sockets that haproxy loads after config.
func SocketsFile(config string) string { return filepath.Join(filepath.Dir(config), socketsFile) }

// Files returns the configuration files that haproxy loads, in their order: config and, if it exists, its SocketsFile.
func Files(config string) []string {
	files := []string{config}
	if _, err := os.Lstat(SocketsFile(config)); err == nil {
		files = append(files, SocketsFile(config))
	}
	return files
}

// Read returns the content of all configuration files that haproxy loads, as one.
func Read(config string) (string, error) {
	var all strings.Builder
	for _, file := range Files(config) {
		b, err := regular.ReadFile(file, regular.MaxConfig)
		if err != nil && !(errors.Is(err, fs.ErrNotExist) && file != config) {
			return "", err
		}
		all.Write(b)
		all.WriteByte('\n')
	}
	return all.String(), nil
}

// StatsSocket is a "stats socket" line of a global section.
type StatsSocket struct {
	Path    string
	Line    int      // counted from 1
	Options []string // the words after the path
}

// StatsSockets returns the UNIX sockets of the "stats socket" lines of a configuration. It leaves out lines that apply only
// under a condition (.if) and paths with variables, which only haproxy can evaluate.
func StatsSockets(conf string) []StatsSocket {
	var all []StatsSocket
	global, conditions, number := false, 0, 0
	for line := range strings.Lines(conf) {
		number++
		w := words(line)
		if len(w) == 0 {
			continue
		}
		switch {
		case w[0] == ".if":
			conditions++
		case w[0] == ".endif":
			conditions--
		case syntax.IsSection(w[0]):
			global = w[0] == "global"
		}
		if !global || conditions > 0 || len(w) < 3 || w[0] != "stats" || w[1] != "socket" {
			continue
		}
		if p, ok := socketPath(w[2]); ok {
			all = append(all, StatsSocket{p, number, w[3:]})
		}
	}
	return all
}

// socketPath returns the path of a UNIX socket's address. /var/run is a link to /run.
func socketPath(address string) (string, bool) {
	p := strings.TrimPrefix(address, "unix@")
	if !strings.HasPrefix(p, "/") || strings.Contains(p, "$") {
		return "", false
	}
	p = path.Clean(p)
	if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
		p = "/run/" + rest
	}
	return p, true
}

// OpenTo reports whether a user that is in the group of the same name and in no other may connect: whether it may write
// to the socket (unix(7)). If the options name an ID instead of a name, it assumes so.
func (s StatsSocket) OpenTo(user string) bool {
	mode, known := s.mode()
	if !known {
		return true
	}
	owner := s.option("user") == user || s.option("uid") != "" && s.option("uid") != "0"
	group := s.option("group") == user || s.option("gid") != "" && s.option("gid") != "0"
	return mode&0o002 != 0 || owner && mode&0o200 != 0 || group && mode&0o020 != 0
}

// OpenToAll reports whether every user of the machine may connect.
func (s StatsSocket) OpenToAll() bool {
	mode, known := s.mode()
	return known && mode&0o002 != 0
}

// mode is the socket's mode. Without one it depends on haproxy's umask, which under systemd is 0022.
func (s StatsSocket) mode() (mode uint64, known bool) {
	text := s.option("mode")
	if text == "" {
		return 0o755, true
	}
	mode, err := strconv.ParseUint(text, 8, 32)
	return mode, err == nil
}

func (s StatsSocket) option(name string) string {
	if i := slices.Index(s.Options, name); i >= 0 && i+1 < len(s.Options) {
		return s.Options[i+1]
	}
	return ""
}

// CheckSocketError returns the reason why `ha-agent check` could not use a socket of a haproxy with this configuration, or nil.
// Without that socket a node never holds a virtual IP. If two lines have the same path, haproxy confuses their permissions in a
// reload.
func CheckSocketError(conf, socket string) error {
	var found []StatsSocket
	for _, s := range StatsSockets(conf) {
		if s.Path == path.Clean(socket) {
			found = append(found, s)
		}
	}
	switch {
	case len(found) == 0:
		return fmt.Errorf("the global section has no \"stats socket %s\": the node could not hold a virtual IP", socket)
	case len(found) > 1:
		return fmt.Errorf("there are %d \"stats socket %s\": one must be removed", len(found), socket)
	case !found[0].OpenTo(wellknown.CheckUser):
		return fmt.Errorf("%s cannot open \"stats socket %s\": its line must end with \"mode 660 user root group %s level user\"",
			wellknown.CheckUser, socket, wellknown.CheckUser)
	}
	return nil
}

// words splits a line of haproxy.cfg as haproxy does (configuration.txt, "2.2. Quoting and escaping"). Variables are not
// expanded.
func words(line string) []string {
	var all []string
	var word strings.Builder
	inWord, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			word.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			inWord = true
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '#':
			if inWord || word.Len() > 0 {
				all = append(all, word.String())
			}
			word.Reset()
			if inWord = false; c == '#' {
				return all
			}
		default:
			word.WriteByte(c)
		}
	}
	if inWord || word.Len() > 0 {
		all = append(all, word.String())
	}
	return all
}
