package adopt

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// bindPlan is where a service listens: the ports of VIPs.
type bindPlan struct {
	vips        []string
	ports       []portPlan
	acceptProxy bool
	tlsFields   mapping
	lines       string // words of every bind line
}

// portPlan is a port, or a range of ports.
type portPlan struct {
	low, high int
	tls       bool
	lines     string
}

// tls says whether all, some or none of the ports have TLS.
func (b *bindPlan) tls() string {
	tls := 0
	for _, p := range b.ports {
		if p.tls || slices.Contains(strings.Fields(p.lines), "ssl") {
			tls++
		}
	}
	switch tls {
	case 0:
		return "none"
	case len(b.ports):
		return "all"
	}
	return "some"
}

func (b *bindPlan) onlyPort() int {
	if len(b.ports) == 1 && b.ports[0].low == b.ports[0].high {
		return b.ports[0].low
	}
	return 0
}

// write sets the fields of a service.
func (b *bindPlan) write(m mapping) {
	if len(b.ports) == 1 && b.ports[0].low == b.ports[0].high && b.ports[0].lines == "" {
		m.set("port", b.ports[0].low)
	} else {
		list := node([]string{"x"})
		list.Content = nil
		for _, p := range b.ports {
			list.Content = append(list.Content, node(p.value(!b.tlsFields.empty())))
		}
		m.set("ports", list)
	}
	m.set("tls", b.tlsFields)
	if b.acceptProxy {
		m.set("accept_proxy", true)
	}
}

// value is a port as the spec has it.
func (p portPlan) value(tls bool) any {
	var port any = p.low
	if p.high > p.low {
		port = fmt.Sprintf("%d-%d", p.low, p.high)
	}
	if p.lines == "" && (!tls || p.tls) {
		return port
	}
	m := newMapping().flow()
	m.set("port", port)
	if tls && !p.tls {
		m.set("tls", false)
	}
	m.set("lines", p.lines)
	return m
}

// boundPort collects what binds one range of ports with the same words.
type boundPort struct {
	low, high int
	options   string
	vips      []string
}

// planBinds plans the bind lines of a proxy. raw are those that are not of a VIP. It returns false if none is.
func (im *importer) planBinds(p *section, binds []line) (*bindPlan, []line, bool) {
	var ports []*boundPort
	var raw []line
	for _, l := range binds {
		var elsewhere []string
		for _, s := range strings.Split(l.word(1), ",") {
			b := readBind(s)
			places := im.where(p, b)
			if len(places) == 0 {
				elsewhere = append(elsewhere, s)
				continue
			}
			if !b.addr.IsValid() {
				im.note(Changed, &l, "", fmt.Sprintf("%s %s listened on port %s of every address; it listens on the virtual IPs alone", p.kind, p.name, s[strings.LastIndexByte(s, ':')+1:]), "")
			}
			for _, place := range places {
				place.vip.used = true
				if !b.addr.IsValid() {
					for _, a := range place.vip.addresses {
						im.result.binds["frontend "+p.name] = append(im.result.binds["frontend "+p.name], a.Addr().String())
					}
				}
				ports = addPort(ports, place, bindOptions(&l))
			}
		}
		if len(elsewhere) > 0 {
			r := newLine(l.file, l.number, "bind "+strings.Join(elsewhere, ",")+" "+l.from(2))
			r.above, r.comment = l.above, l.comment
			raw = append(raw, r)
		}
	}
	if len(ports) == 0 {
		return nil, nil, false
	}
	plan := &bindPlan{tlsFields: newMapping()}
	// The ports that the same VIPs have as the first one are fields; others are lines.
	plan.vips = ports[0].vips
	for _, b := range ports {
		if !slices.Equal(b.vips, plan.vips) {
			raw = append(raw, im.rawBinds(p, b)...)
			continue
		}
		plan.ports = append(plan.ports, portPlan{low: b.low, high: b.high, lines: b.options})
	}
	plan.factor(im)
	return plan, raw, true
}

// rawBinds writes bind lines of VIPs that do not have all ports of the service.
func (im *importer) rawBinds(p *section, b *boundPort) []line {
	var out []line
	for _, v := range im.vips {
		if !slices.Contains(b.vips, v.name) {
			continue
		}
		for _, a := range v.addresses {
			host := a.Addr().String()
			if a.Addr().Is6() {
				host = "[" + host + "]"
			}
			ports := fmt.Sprint(b.low)
			if b.high > b.low {
				ports += fmt.Sprintf("-%d", b.high)
			}
			out = append(out, newLine(p.head.file, p.head.number, strings.TrimSpace("bind "+host+":"+ports+" "+b.options)))
		}
	}
	return out
}

// bindOptions are the words of a bind line behind its addresses.
func bindOptions(l *line) string {
	text := strings.Join(strings.Fields(" "+l.from(2)+" "), " ")
	for _, w := range []string{"v4v6", "v6only", "transparent"} {
		text = strings.TrimSpace(strings.ReplaceAll(" "+text+" ", " "+w+" ", " "))
	}
	return text
}

func addPort(ports []*boundPort, at place, options string) []*boundPort {
	for _, b := range ports {
		if b.low == at.low && b.high == at.high && b.options == options {
			if !slices.Contains(b.vips, at.vip.name) {
				b.vips = append(b.vips, at.vip.name)
				sort.Strings(b.vips)
			}
			return ports
		}
	}
	return append(ports, &boundPort{at.low, at.high, options, []string{at.vip.name}})
}

// tlsWords are the words of a bind line that the field tls stands for.
type tlsWords struct {
	certificates []string
	alpn         string
	ca, verify   string
	rest         string
	ok           bool
}

// factor moves words of the bind lines to fields: what all ports of TLS have in common.
func (b *bindPlan) factor(im *importer) {
	var first tlsWords
	same := true
	for _, p := range b.ports {
		if w := im.readTLS(p.lines); w.ok {
			if len(first.certificates) == 0 {
				first = w
			}
			same = same && slices.Equal(w.certificates, first.certificates) && w.alpn == first.alpn && w.ca == first.ca && w.verify == first.verify
		}
	}
	if len(first.certificates) > 0 && same {
		for i := range b.ports {
			if w := im.readTLS(b.ports[i].lines); w.ok {
				b.ports[i].tls, b.ports[i].lines = true, w.rest
			}
		}
		b.tlsFields.set("certificates", first.certificates)
		if first.alpn != "" {
			b.tlsFields.set("alpn", strings.Split(first.alpn, ","))
		} else {
			empty := node([]string{"x"})
			empty.Content = nil
			b.tlsFields.set("alpn", empty)
		}
		b.tlsFields.set("client_ca", first.ca)
		if first.verify != "required" {
			b.tlsFields.set("client_verify", first.verify)
		}
	}
	proxied := 0
	for _, p := range b.ports {
		if slices.Contains(strings.Fields(p.lines), "accept-proxy") {
			proxied++
		}
	}
	if proxied == len(b.ports) {
		b.acceptProxy = true
		for i := range b.ports {
			b.ports[i].lines = strings.TrimSpace(strings.ReplaceAll(" "+b.ports[i].lines+" ", " accept-proxy ", " "))
		}
	}
	if lines := b.ports[0].lines; lines != "" && !slices.ContainsFunc(b.ports, func(p portPlan) bool { return p.lines != lines }) && len(b.ports) > 0 {
		b.lines = lines
		for i := range b.ports {
			b.ports[i].lines = ""
		}
	}
}

// readTLS reads the words of a bind line with ssl.
func (im *importer) readTLS(options string) tlsWords {
	w := tlsWords{}
	l := newLine("", 0, options)
	var rest []string
	ssl := false
	for i := 0; i < len(l.words); i++ {
		next := l.word(i + 1)
		switch l.words[i] {
		case "ssl":
			ssl = true
		case "crt":
			path := im.certificatePath(next)
			if path == "" {
				return w
			}
			w.certificates = append(w.certificates, path)
			i++
		case "alpn":
			w.alpn = next
			i++
		case "ca-file":
			w.ca = next
			i++
		case "verify":
			w.verify = next
			i++
		case "crt-list":
			return w
		default:
			rest = append(rest, l.raw[l.tokens[i].start:l.tokens[i].end])
		}
	}
	if w.ca == "" && w.verify == "none" {
		w.verify = ""
	}
	w.rest = strings.Join(rest, " ")
	w.ok = ssl && len(w.certificates) > 0 && (w.ca == "" && w.verify == "" || nodePath.MatchString(w.ca) && (w.verify == "required" || w.verify == "optional"))
	return w
}

// certificatePath is the path of a certificate, with crt-base; "" if the spec cannot have it. A path without an ending is a
// directory.
func (im *importer) certificatePath(s string) string {
	if !strings.HasPrefix(s, "/") && !strings.Contains(s, "@") && im.global != nil {
		for _, l := range im.global.lines {
			if l.is("crt-base") && len(l.words) > 1 {
				s = strings.TrimSuffix(l.word(1), "/") + "/" + s
			}
		}
	}
	if !nodePath.MatchString(s) || strings.Contains(s, "//") || strings.Contains(s, "/../") || strings.Contains(s, "/./") {
		return ""
	}
	if last := s[strings.LastIndexByte(s, '/')+1:]; last != "" && !strings.Contains(last, ".") {
		return s + "/"
	}
	return s
}
