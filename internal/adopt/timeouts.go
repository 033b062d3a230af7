package adopt

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

// timeoutKey is a timeout of haproxy with its key in the spec.
type timeoutKey struct {
	word, key string
	side      side
	usual     string // what hapair sets; empty: nothing
}

var timeoutKeys = []timeoutKey{
	{"connect", "connect", servers, "5s"}, {"client", "client", clients, "1m"}, {"server", "server", servers, "1m"},
	{"tunnel", "tunnel", servers, "1h"}, {"queue", "queue", servers, "1m"}, {"check", "check", servers, "5s"},
	{"http-request", "http_request", clients, "10s"}, {"http-keep-alive", "http_keep_alive", clients, "10s"},
	{"client-fin", "client_fin", clients, ""}, {"server-fin", "server_fin", servers, ""},
}

// timeoutInPlace reports a timeout in a section where haproxy ignores it.
func (im *importer) timeoutInPlace(p *section, l *line) {
	if s := sideOf(l); p.kind == "frontend" && s == servers && l.word(1) != "tunnel" || p.kind == "backend" && s == clients {
		im.note(Wrong, l, "", fmt.Sprintf("%q has no effect in a %s", l.tidy(), p.kind), "")
	}
}

// timeoutsOf returns the timeouts that hold for a proxy, by haproxy's word.
func timeoutsOf(p *section) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, l := range append(p.inherited(), p.lines...) {
		if l.words[0] == "timeout" && readable(&l) {
			out[l.word(1)], _ = haproxyTime(l.word(2))
		}
	}
	return out
}

// concerns reports whether a timeout has an effect in a proxy.
func (k timeoutKey) concerns(p *section) bool {
	if strings.HasPrefix(k.word, "http-") && !isHTTP(p) {
		return false
	}
	switch p.kind {
	case "frontend":
		return k.side == clients
	case "backend":
		return k.side == servers
	}
	return true
}

// isHTTP reports whether the mode of a proxy is http.
func isHTTP(p *section) bool {
	lines := append(p.inherited(), p.lines...)
	return modeOf(&lines) == "http"
}

// commonTimeouts are those of most proxies; 0: haproxy has none there.
func (im *importer) commonTimeouts() map[string]time.Duration {
	common := map[string]time.Duration{}
	for _, k := range timeoutKeys {
		count := map[time.Duration]int{}
		for _, p := range im.proxies {
			if k.concerns(p) {
				count[timeoutsOf(p)[k.word]]++
			}
		}
		var values []time.Duration
		for d := range count {
			values = append(values, d)
		}
		sort.Slice(values, func(i, j int) bool {
			if count[values[i]] != count[values[j]] {
				return count[values[i]] > count[values[j]]
			}
			return values[i] < values[j]
		})
		if len(values) > 0 {
			common[k.word] = values[0]
		} else if im.main != nil {
			common[k.word] = timeoutsOf(&section{defaults: im.main})[k.word]
		}
	}
	return common
}

// ownTimeouts are the timeouts of a proxy that differ from the common ones.
// own: it has servers.
func (im *importer) ownTimeouts(p *section, common map[string]time.Duration, own bool) mapping {
	m := newMapping().flow()
	all := timeoutsOf(p)
	for _, k := range timeoutKeys {
		if k.concerns(p) && (own || k.side == clients) && all[k.word] != common[k.word] {
			m.set(k.key, all[k.word])
		}
	}
	return m
}

// writeTimeouts are haproxy.timeouts: what differs from hapair's own. 0 is as haproxy has it without the line.
func (im *importer) writeTimeouts(common map[string]time.Duration) mapping {
	m := newMapping()
	for _, k := range timeoutKeys {
		d, known := common[k.word]
		if usual, _ := haproxyTime(k.usual); !known || d == usual || d == 0 && k.usual == "" {
			continue
		}
		if d == 0 {
			n := node(d)
			n.LineComment = "none, as before; without the line it is " + k.usual
			m.set(k.key, n)
			if k.word == "client" || k.word == "server" || k.word == "connect" {
				im.note(Wrong, nil, "haproxy.timeouts."+k.key, "there is no timeout "+k.word+": connections of clients or servers that vanish stay for ever", "remove the line to have "+k.usual)
			}
			continue
		}
		m.set(k.key, d)
	}
	return m
}
