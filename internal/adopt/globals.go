package adopt

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// ownGlobals are lines of the global section that hapair writes itself, with what it has instead; "" says nothing.
var ownGlobals = map[string]string{
	"daemon": "", "pidfile": "", "user": "", "group": "", "uid": "", "gid": "", "master-worker": "",
	"chroot": "hapair has /var/lib/haproxy", "server-state-file": "hapair has its own", "server-state-base": "hapair has its own",
	"hard-stop-after": "", "localpeer": "hapair names the nodes",
}

// writeGlobal writes what holds for all services.
func (im *importer) writeGlobal(head mapping, common map[string]time.Duration, extra *[]string) {
	h := newMapping()
	var global []line
	if im.global != nil {
		global = im.logs(head)
		for _, l := range im.global.lines {
			switch why, own := ownGlobals[l.words[0]]; {
			case l.words[0] == "log": // see logs
			case l.is("maxconn") && number(l.word(1), 0) > 0:
				h.set("maxconn", number(l.word(1), 0), comments(l)...)
			case own && l.words[0] != "hard-stop-after":
				if why != "" && !strings.HasSuffix(why, l.word(1)) {
					im.note(Changed, &l, "", fmt.Sprintf("%q is left out", l.tidy()), why)
				}
			case l.is("stats", "socket") && ownSocket(&l):
			default:
				global = append(global, l)
			}
		}
	}
	h.set("timeouts", im.writeTimeouts(common))
	c := im.commonCheck()
	times := newMapping().flow()
	im.setTime(times, "interval", c.inter, "2s")
	im.setTime(times, "rise", c.rise, "2")
	im.setTime(times, "fall", c.fall, "3")
	h.set("check", times)
	h.set("global", block2(text(global)))
	im.noteLines("haproxy.global", global)
	defaults := im.defaultsLines()
	h.set("defaults", block2(text(defaults)))
	im.noteLines("haproxy.defaults", defaults)
	for _, s := range im.sections {
		switch s.kind {
		case "global", "defaults", "frontend", "backend", "listen", "":
		default:
			if t := im.other(s); t != "" {
				*extra = append(*extra, t)
			}
		}
	}
	h.set("extra", block2(strings.TrimSpace(strings.Join(append(im.userlist, *extra...), "\n\n"))))
	head.set("haproxy", h, im.headComments()...)
}

// headComments are the comments above the sections global and defaults.
func (im *importer) headComments() []string {
	var out []string
	for _, s := range im.sections {
		if s.kind == "global" || s.kind == "defaults" && im.main != nil {
			out = append(append(out, s.head.above...), commentOf(s.head)...)
		}
	}
	return out
}

func ownSocket(l *line) bool {
	return l.word(2) == "/run/haproxy/admin.sock" || l.word(2) == "/var/run/haproxy/admin.sock"
}

// defaultsLines are the lines of haproxy.defaults.
func (im *importer) defaultsLines() []line {
	var out []line
	for _, l := range im.kept() {
		if isPlainRedispatch(&l) || l.is("option", "dontlognull") || l.is("retries", "3") {
			continue
		}
		out = append(out, l)
	}
	if im.main != nil {
		var words []line
		im.mainServerWords(&words)
		out = append(out, words...)
	}
	if !im.redispatches() && !slices.ContainsFunc(im.kept(), func(l line) bool { return isPlainRedispatch(&l) }) {
		l := newLine("", 0, "no option redispatch")
		l.comment = "# as before; hapair has it"
		out = append(out, l)
	}
	return out
}

// mainServerWords are the words of default-server for which haproxy.check has no field.
func (im *importer) mainServerWords(out *[]line) {
	for _, l := range append(im.main.inherited(), im.main.lines...) {
		if l.words[0] != "default-server" {
			continue
		}
		head := newLine(l.file, l.number, "server x 127.0.0.1 "+l.from(1))
		s, _ := readServer(&head)
		rest := s.wordsBut()
		if s.checkPort != "" {
			rest = strings.TrimSpace("port " + s.checkPort + " " + rest)
		}
		if rest != "" {
			r := newLine(l.file, l.number, "default-server "+rest)
			r.above, r.comment = l.above, l.comment
			*out = append(*out, r)
		}
	}
}

// logs takes where haproxy logs to.
// It returns the log lines that have no field.
func (im *importer) logs(head mapping) []line {
	var more []line
	m := newMapping().flow()
	for _, l := range im.global.lines {
		if l.words[0] != "log" || len(l.words) < 3 {
			continue
		}
		target := strings.TrimSuffix(l.word(1), ":514")
		if target == "localhost" {
			target = "127.0.0.1"
		}
		_, err := netip.ParseAddr(target)
		_, err2 := netip.ParseAddrPort(target)
		simple := target == "/dev/log" || err == nil || err2 == nil
		if m.empty() && simple && len(l.words) == 3 {
			if a, err := netip.ParseAddr(target); err == nil && a.IsLoopback() {
				im.note(Changed, &l, "log", fmt.Sprintf("the log goes to /dev/log, not to %s", l.word(1)), "journald and syslog read it there, without a port to listen on")
				target = "/dev/log"
			}
			m.set("address", target)
			m.set("facility", l.word(2))
			continue
		}
		more = append(more, l)
	}
	if m.empty() && len(more) > 0 {
		im.note(Changed, &more[0], "log", "haproxy also logs to /dev/log, with facility local0", "")
	}
	if node := m; len(node.Content) > 0 && !(node.Content[1].Value == "/dev/log" && node.Content[3].Value == "local0") {
		head.set("log", m)
	}
	return more
}
