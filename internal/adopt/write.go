package adopt

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

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
	head.set("nodes", im.writeNodes())
	head.set("vips", im.writeVIPs())
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
		m.set("interface", p.iface)
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
			m.set("interface", v.iface)
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

// writeInstance writes what a vrrp_instance says beside its addresses.
func (im *importer) writeInstance(m mapping, v *vip, path string) {
	m.set("prefer", v.prefer)
	m.set("group", v.group)
	in := v.instance
	if in == nil {
		return
	}
	im.routerID(m, v)
	if d := im.preemptDelay(v); d > 0 && im.preempts() {
		m.set("preempt_delay", d)
	}
	if !v.first {
		return
	}
	im.writeInstanceLines(m, v, path)
}

// routerID takes the virtual_router_id, unless another VIP has it: on another interface, keepalived allows that.
func (im *importer) routerID(m mapping, v *vip) {
	e := v.instance.last("virtual_router_id")
	id := number(e.word(1), 0)
	if id <= 0 || !v.first {
		return
	}
	for _, o := range im.vips {
		if o == v {
			break
		}
		if o.first && o.instance != nil && number(o.instance.last("virtual_router_id").word(1), 0) == id {
			im.noteBlock(Changed, e, "", fmt.Sprintf("the VIP %s has another virtual_router_id: %d is that of %s", v.name, id, o.name), "hapair's are unique in a spec, also on several interfaces")
			return
		}
	}
	m.set("virtual_router_id", id)
}

// writeInstanceLines writes the entries of an instance for which there is no field, and those of its vrrp_sync_group.
func (im *importer) writeInstanceLines(m mapping, v *vip, path string) {
	in := v.instance
	var lines []string
	pass := func(e *block, what string) {
		if slices.Contains(hookKeys, e.word(0)) {
			im.hook(e)
		}
		im.noteBlock(Lines, e, path+".lines", strings.TrimSpace(what), "")
		lines = append(lines, strings.TrimRight(e.text(""), "\n"))
	}
	routes := im.virtualRoutes(m, in)
	im.trackScripts(m, in)
	for _, e := range in.entries {
		switch {
		case slices.Contains(instanceFields, e.word(0)):
		case e.word(0) == "dont_track_primary" && len(e.words) == 1:
			im.noteBlock(Changed, e, "", fmt.Sprintf("instance %s: dont_track_primary is left out", in.word(1)), "hapair's own check and track file replace it")
		case e.word(0) == "track_process", e.word(0) == "track_file":
			if rest := im.trackOthers(in, e); rest != nil {
				pass(rest, e.word(0)+" of what is not haproxy")
			}
		default:
			pass(e, strings.Join(e.words, " "))
		}
	}
	for _, e := range v.more {
		switch e.word(0) {
		case "group", "track_script", "track_interface", "global_tracking":
		case "track_process", "track_file":
			if rest := im.trackOthers(in, e); rest != nil {
				pass(rest, e.word(0)+" of what is not haproxy")
			}
		case "sync_group_tracking_weight":
			im.noteBlock(Changed, e, "", "sync_group_tracking_weight is left out", "hapair writes it where it needs it")
		default:
			pass(e, e.raw+" (of the vrrp_sync_group)")
		}
	}
	if routes != nil {
		pass(routes, "virtual_routes")
	}
	lines = append(lines, im.trackInterface(in.last("track_interface"), v, path)...)
	m.set("lines", block2(strings.Join(lines, "\n")))
}

// preemptDelay is how long a node waits before it takes a VIP back: the longest time of the VIP's group.
func (im *importer) preemptDelay(v *vip) time.Duration {
	var longest time.Duration
	for _, o := range im.vips {
		if o != v && (v.group == "" || o.group != v.group) || o.instance == nil {
			continue
		}
		if n, err := strconv.ParseFloat(o.instance.last("preempt_delay").word(1), 64); err == nil {
			longest = max(longest, time.Duration(n*float64(time.Second)))
		}
	}
	return longest
}

// trackInterface returns the lines that track interfaces which hapair does not track: it tracks VRRP's and the VIP's.
func (im *importer) trackInterface(t *block, v *vip, path string) []string {
	var out []string
	for _, e := range t.entriesOf() {
		if e.word(0) != v.iface && e.word(0) != v.instance.last("interface").word(1) {
			im.noteBlock(Lines, e, path+".lines", "track_interface "+e.raw, "")
			out = append(out, "    "+e.raw)
		}
	}
	if len(out) > 0 {
		out = append(append([]string{"track_interface {"}, out...), "}")
	}
	return out
}

// hook looks for the script of a notify line among the node's files.
func (im *importer) hook(e *block) {
	im.scripts[e.word(1)] = e
	im.noteBlock(Changed, e, "", fmt.Sprintf("%s runs without root's rights now (script_user)", e.word(0)), "on_change of the VIP is the better way: a command that hangs does not affect VRRP")
}

// virtualRoutes takes the routes of an instance. It returns a block with those for which there is no field, or nil.
func (im *importer) virtualRoutes(m mapping, in *block) *block {
	var routes []mapping
	var rest *block
	for _, e := range in.last("virtual_routes").entriesOf() {
		r := newMapping().flow()
		whole := true
		words := e.words
		if len(words) > 0 && words[0] == "to" {
			words = words[1:]
		}
		to, err := netip.ParsePrefix(first(words))
		if first(words) == "default" {
			to, err = netip.MustParsePrefix("0.0.0.0/0"), nil
		}
		whole = err == nil
		for i := 1; whole && i+1 < len(words); i += 2 {
			switch words[i] {
			case "via", "gw":
				r.set("via", words[i+1])
			case "dev":
				r.set("interface", words[i+1])
			case "table", "metric":
				n, err := strconv.Atoi(words[i+1])
				whole = err == nil
				r.set(words[i], n)
			default:
				whole = false
			}
		}
		if !whole || len(words)%2 == 0 {
			if rest == nil {
				c := *in.last("virtual_routes")
				rest, c.entries = &c, nil
			}
			rest.entries = append(rest.entries, e)
			continue
		}
		to = to.Masked()
		out := newMapping().flow()
		out.set("to", to.String())
		out.Content = append(out.Content, r.Content...)
		routes = append(routes, out)
	}
	m.set("routes", routes)
	return rest
}

// trackOthers returns a track_process or track_file without what looks at haproxy, which hapair does by itself; nil: nothing else
// is left.
func (im *importer) trackOthers(in, e *block) *block {
	rest := *e
	rest.entries = nil
	for _, name := range e.entriesOf() {
		defined := im.tracked(name.word(0))
		if defined == nil {
			im.noteBlock(Wrong, name, "", fmt.Sprintf("instance %s tracks %q, which does not exist: keepalived ignores it", in.word(1), name.word(0)), "")
			continue
		}
		if watchesHAProxy.MatchString(strings.Join(defined.last("process").wordsFrom(1), " ")) {
			im.noteBlock(Changed, name, "", fmt.Sprintf("instance %s: %s %s is left out", in.word(1), e.word(0), name.word(0)), "hapair's check asks haproxy itself")
			continue
		}
		im.others[defined] = true
		rest.entries = append(rest.entries, name)
	}
	if len(rest.entries) == 0 {
		return nil
	}
	return &rest
}

// tracked returns the definition of a tracked process or file; nil: there is none.
func (im *importer) tracked(name string) *block {
	for _, kind := range []string{"vrrp_track_process", "track_process", "vrrp_track_file", "track_file"} {
		for _, b := range im.firstConf().all(kind) {
			if b.word(1) == name {
				return b
			}
		}
	}
	return nil
}

func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// trackScripts takes the track scripts that look at something else than haproxy.
func (im *importer) trackScripts(m mapping, in *block) {
	var out []mapping
	for _, e := range in.last("track_script").entriesOf() {
		var script *block
		for _, s := range im.firstConf().all("vrrp_script") {
			if s.word(1) == e.word(0) {
				script = s
			}
		}
		if script == nil {
			continue
		}
		command := strings.Join(script.last("script").wordsFrom(1), " ")
		if watchesHAProxy.MatchString(command) || useless.MatchString(command) {
			im.noteBlock(Changed, script, "", fmt.Sprintf("the script %q (%s) is left out", script.word(1), mask(command)), "hapair's check asks haproxy itself")
			continue
		}
		if !strings.HasPrefix(command, "/") {
			im.noteBlock(Lost, script, "", fmt.Sprintf("the script %q (%s) has no absolute path", script.word(1), mask(command)), "write it as a track script with an absolute path")
			continue
		}
		t := newMapping().flow()
		t.set("name", hostName(script.word(1)))
		t.set("command", strings.Join(strings.Fields(command), " "))
		if n := number(script.last("interval").word(1), 1); n > 0 {
			t.set("interval", time.Duration(n)*time.Second)
		}
		for _, key := range []string{"rise", "fall"} {
			if n := number(script.last(key).word(1), 1); n > 0 {
				t.set(key, n)
			}
		}
		if w := number(script.last("weight").word(1), 0); w != 0 && im.preempts() {
			t.set("weight", w)
		} else if w != 0 {
			im.noteBlock(Changed, script, "", fmt.Sprintf("a node whose script %q fails gives up the VIP: its weight of %d has no effect without preemption", script.word(1), w), "set vrrp.preempt and the weight if only the preference must change")
		}
		im.scripts[strings.Fields(command)[0]] = script
		out = append(out, t)
	}
	m.set("track_scripts", out)
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
