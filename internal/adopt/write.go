package adopt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/haproxy/haproxycfg"
)

// write makes the spec.
func (im *importer) write() error {
	common := im.commonTimeouts()
	var services, backends []mapping
	var extra []string
	stats := newMapping()
	for _, p := range im.proxies {
		switch {
		case stats.empty() && im.statsPage(p, stats):
		case p.kind == "backend" || p.kind == "listen" && !slices.ContainsFunc(p.lines, func(l line) bool { return l.words[0] == "bind" }):
			if !serverName.MatchString(p.name) {
				extra = append(extra, im.whole(p))
				continue
			}
			backends = append(backends, im.backend(p, common))
		default:
			m, ok := im.service(p, common)
			if !ok || !serverName.MatchString(p.name) {
				extra = append(extra, im.whole(p))
				continue
			}
			services = append(services, m)
		}
	}
	head := newMapping()
	head.set("apiVersion", "hapair/v1")
	head.set("cluster", im.cluster())
	if im.options.Release != "" {
		image := newMapping()
		image.set("release", im.options.Release)
		head.set("image", image)
	}
	vips := im.writeVIPs() // their routes name interfaces of the nodes
	head.set("nodes", im.writeNodes())
	head.set("vips", vips)
	vrrp := newMapping().flow()
	if im.preempts() {
		vrrp.set("preempt", true)
	}
	if !im.unicast && im.firstConf() != nil {
		vrrp.set("transport", "multicast")
	}
	head.set("vrrp", vrrp)
	head.set("stats", stats)
	im.writeGlobal(head, common, &extra)
	head.set("services", services)
	head.set("backends", backends)
	head.set("files", im.files())
	head.set("keepalived", im.writeKeepalived())
	data, err := marshal(head, "# Written by bake import. Its report says what to look at; 'bake explain' and docs/spec.md describe every key.\n")
	if err != nil {
		return fmt.Errorf("cannot write the spec: %w", err)
	}
	im.result.Spec = data
	im.unusedVIPs()
	return nil
}

func (im *importer) cluster() string {
	if im.options.Cluster != "" {
		return im.options.Cluster
	}
	return "imported"
}

func (im *importer) writeNodes() []mapping {
	var out []mapping
	for _, p := range im.pairs {
		m := newMapping().flow()
		m.set("name", p.name)
		if p.address.IsSingleIP() {
			m.set("address", p.address.Addr().String())
		} else {
			m.set("address", p.address.String())
		}
		m.set("interface", im.device(p.iface))
		m.set("interfaces", im.routeDevices(p))
		im.result.Fields["nodes"]++
		if p.guessed {
			m.LineComment = "placeholder"
		}
		out = append(out, m)
	}
	return out
}

func (im *importer) writeVIPs() []mapping {
	var out []mapping
	for i, v := range im.vips {
		m := newMapping()
		var above []string
		if v.instance != nil && v.first {
			above = v.instance.above
		}
		m.set("name", v.name, above...)
		var list []string
		for _, a := range v.addresses {
			list = append(list, a.String())
		}
		m.set("address", oneOrList(list))
		if !v.guessed || v.instance != nil || !inNodes(im.pairs, v) {
			m.set("interface", im.vipDevice(v.iface))
		}
		im.writeInstance(m, v, fmt.Sprintf("vips[%d]", i))
		im.result.Fields["vips"]++
		out = append(out, m)
	}
	return out
}

func inNodes(pairs []*pairNode, v *vip) bool {
	for _, a := range v.addresses {
		if len(pairs) == 0 || !pairs[0].address.Masked().Contains(a.Addr()) {
			return false
		}
	}
	return true
}

// preempts reports whether a node that returns took its VIPs back.
func (im *importer) preempts() bool {
	conf := im.firstConf()
	for _, in := range conf.all("vrrp_instance") {
		if in.last("nopreempt") == nil {
			return true
		}
	}
	return false
}

// unusedVIPs reports VIPs that haproxy does not bind.
func (im *importer) unusedVIPs() {
	for _, v := range im.vips {
		if !v.used && v.instance != nil {
			im.noteBlock(Wrong, v.instance, "", fmt.Sprintf("haproxy does not bind the VIP %s (%s)", v.name, v.addresses[0].Addr()), "requests to it are refused, unless something else on the node listens there")
		}
	}
}

// whole writes a section as it is, with what it inherits from lines that are not in haproxy.defaults.
func (im *importer) whole(p *section) string {
	lines := im.resolve(p)
	head := p.kind + " " + p.name
	var out []string
	out = append(out, p.head.above...)
	out = append(out, head)
	common := im.commonTimeouts()
	all := timeoutsOf(p)
	for _, k := range timeoutKeys {
		if k.concerns(p) && all[k.word] != common[k.word] {
			out = append(out, "    timeout "+k.word+" "+spanText(all[k.word]))
		}
	}
	if p.kind != "frontend" {
		lines = append(im.inheritedServerWords(p), lines...)
	}
	im.auth(&lines, p.kind, p.name)
	take(&lines, func(l *line) bool { return l.is("log", "global") })
	for t := range strings.SplitSeq(text(lines), "\n") {
		if t != "" {
			out = append(out, "    "+t)
		}
	}
	im.noteLines("haproxy.extra", append([]line{p.head}, lines...))
	im.result.rename[p.kind+" "+p.name] = p.name
	return strings.Join(out, "\n")
}

// other writes a section that is not of a proxy.
func (im *importer) other(s *section) string {
	lines := slices.Clone(s.lines)
	if s.kind == "userlist" {
		for i, l := range lines {
			if j := slices.Index(l.words, "insecure-password"); j > 0 && l.is("user") && j+1 < len(l.words) {
				hash, err := haproxycfg.HashPassword(l.word(j+1), im.cluster(), l.word(1))
				if err != nil {
					continue
				}
				im.note(Changed, &l, "haproxy.extra", fmt.Sprintf("the password of the user %s is a hash now", l.word(1)), "it was in clear text")
				lines[i] = im.rewrite(l, l.raw[:l.tokens[j].start]+"password "+hash+strings.TrimSuffix(" "+l.from(j+2), " "))
			}
		}
	}
	if s.kind == "program" {
		im.note(Wrong, &s.head, "haproxy.extra", "haproxy itself runs the program "+s.name, "haproxy 3.3 removed such sections; run it as a unit of systemd")
	}
	var out []string
	out = append(out, s.head.above...)
	out = append(out, strings.TrimSpace(s.head.raw))
	for t := range strings.SplitSeq(text(lines), "\n") {
		if t != "" {
			out = append(out, "    "+t)
		}
	}
	im.note(Lines, &s.head, "haproxy.extra", s.head.raw, "")
	return strings.Join(out, "\n")
}

// auth replaces "stats auth", which holds a password, by a list of users with its hash.
func (im *importer) auth(lines *[]line, kind, name string) {
	auths := take(lines, beginsWith("stats", "auth"))
	if len(auths) == 0 {
		return
	}
	list := "stats-" + hostName(name)
	out := []string{"userlist " + list}
	for _, l := range auths {
		user, password, _ := strings.Cut(l.word(2), ":")
		hash, err := haproxycfg.HashPassword(password, im.cluster(), user)
		if err != nil {
			im.note(Lost, &l, "", "the password of the stats page cannot be hashed", "")
			continue
		}
		out = append(out, "    user "+user+" password "+hash)
		im.note(Changed, &l, "haproxy.extra", fmt.Sprintf("the password of the user %s of the stats page is a hash in a userlist now", user), "")
	}
	im.userlist = append(im.userlist, strings.Join(out, "\n"))
	uri, realm := "/haproxy?stats", ""
	for _, l := range *lines {
		switch {
		case l.is("stats", "realm"):
			realm = " realm " + l.from(2)
		case l.is("stats", "uri"):
			uri = l.word(2)
		}
	}
	l := auths[0]
	rule := "stats http-request auth" + realm + " unless { http_auth(" + list + ") }"
	if kind == "frontend" { // it has no stats http-request (configuration.txt, 4.1)
		rule = "http-request auth" + realm + " if { url_beg " + quoteWord(uri) + " } !{ http_auth(" + list + ") }"
	}
	n := newLine(l.file, l.number, rule)
	n.above, n.comment = l.above, l.comment
	*lines = append(*lines, n)
}
