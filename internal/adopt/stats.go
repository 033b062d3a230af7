package adopt

import (
	"fmt"
	"strings"
)

// statsPage takes a section that is a stats page and nothing else for the field stats.
func (im *importer) statsPage(p *section, m mapping) bool {
	if p.kind == "backend" {
		return false
	}
	lines := im.resolve(p)
	port, auths, ok := readStatsPage(lines)
	if !ok || port == 80 || port == 443 {
		return false
	}
	user, password := "", ""
	for i, l := range auths {
		u, pass, _ := strings.Cut(l.word(2), ":")
		if i > 0 {
			im.note(Lost, &l, "stats", fmt.Sprintf("the user %s of the stats page", u), "hapair's page has one user")
		} else if accountName.MatchString(u) && pass != "" {
			user, password = u, pass
		}
	}
	m.set("port", port, p.head.above...)
	if user != "" {
		m.set("user", user)
		secret := newMapping().flow()
		secret.set("file", "stats.password")
		m.set("password", secret)
		im.result.Files = append(im.result.Files, OutFile{"stats.password", []byte(password + "\n"), true})
		im.note(Changed, &auths[0], "stats.password", "the password of the stats page is in the file stats.password", "haproxy.cfg gets its hash")
	} else {
		m.set("allow", []string{"0.0.0.0/0", "::/0"})
		im.note(Wrong, &p.head, "stats.allow", "everybody could open the stats page, without a password", "list your networks in stats.allow")
	}
	for _, l := range lines {
		if l.is("stats", "admin") {
			im.note(Changed, &l, "stats", "servers could be changed on the stats page; hapair's page only shows them", "use haproxy's admin socket")
		}
	}
	im.note(Changed, &p.head, "stats", fmt.Sprintf("the stats page of %s %s is hapair's: on port %d of each node's own address; every path leads to it, and /metrics to Prometheus", p.kind, p.name, port), "")
	im.result.rename[p.kind+" "+p.name] = ""
	im.result.Fields["stats"]++
	return true
}

// readStatsPage returns the port and the users of a stats page, or false if the section is or does something else.
func readStatsPage(lines []line) (port int, auths []line, ok bool) {
	is := false
	for _, l := range lines {
		switch l.words[0] {
		case "bind":
			b := readBind(l.word(1))
			if !b.tcp || b.low != b.high || port != 0 && port != b.low || strings.Contains(l.from(2), "ssl") {
				return 0, nil, false
			}
			port = b.low
		case "stats":
			is = true
			switch l.word(1) {
			case "auth":
				auths = append(auths, l)
			case "http-request":
				return 0, nil, false
			}
		case "mode":
			if l.word(1) != "http" {
				return 0, nil, false
			}
		case "http-request":
			if !l.is("http-request", "use-service", "prometheus-exporter") {
				return 0, nil, false
			}
		case "option", "balance", "log", "maxconn", "timeout", "description", "no", "retries", "monitor-uri":
		default:
			return 0, nil, false
		}
	}
	return port, auths, is && port != 0
}
