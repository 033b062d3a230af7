package adopt

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
		case slices.Contains(leftOut, e.word(0)):
			im.noteBlock(Changed, e, "", fmt.Sprintf("instance %s: %s is left out", in.word(1), strings.Join(e.words, " ")), "hapair has its own protection of VRRP, and does not synchronise connections of IPVS")
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
		to, err := netip.ParsePrefix(firstWord(words))
		if firstWord(words) == "default" {
			to, err = netip.MustParsePrefix("0.0.0.0/0"), nil
		}
		whole = err == nil
		for i := 1; whole && i+1 < len(words); i += 2 {
			switch words[i] {
			case "via", "gw":
				r.set("via", words[i+1])
			case "dev":
				r.set("interface", words[i+1])
				im.devices = append(im.devices, words[i+1])
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

func firstWord(words []string) string {
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
