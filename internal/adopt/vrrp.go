package adopt

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pairNode is a node of the spec.
type pairNode struct {
	name, iface string
	address     netip.Prefix
	guessed     bool
	priority    map[string]int // of each instance
	conf        *block         // its keepalived.conf; nil: there is none
}

// vip is a VIP of the spec.
type vip struct {
	name, group, iface string
	addresses          []netip.Prefix
	instance           *block // of the first node; nil: it comes from a bind line
	first              bool   // of its instance
	prefer             string
	more               []*block // of its vrrp_sync_group, written to this VIP
	used               bool     // some bind line has it
	guessed            bool
}

// addr reports whether the VIP has an address.
func (v *vip) has(a netip.Addr) bool {
	return slices.ContainsFunc(v.addresses, func(p netip.Prefix) bool { return p.Addr() == a })
}

// keepalived reads the instances of all nodes.
func (im *importer) keepalived() {
	im.scripts, im.others = map[string]*block{}, map[*block]bool{}
	for i := range im.nodes {
		n := &im.nodes[i]
		if strings.TrimSpace(n.Keepalived.Text) == "" {
			if n.Name != "" || len(im.nodes) > 1 {
				im.pairs = append(im.pairs, &pairNode{name: n.Name, priority: map[string]int{}})
			}
			continue
		}
		conf := n.conf()
		p := &pairNode{name: n.Name, conf: conf, priority: map[string]int{}}
		if id := conf.last("global_defs").last("router_id").word(1); id != "" && (p.name == "" || !validName.MatchString(p.name)) {
			p.name = hostName(id)
		}
		for _, in := range conf.all("vrrp_instance") {
			if p.iface == "" {
				p.iface = in.last("interface").word(1)
			}
			for _, key := range []string{"unicast_src_ip", "mcast_src_ip"} {
				a, err := netip.ParseAddr(in.last(key).word(1))
				switch {
				case err != nil || p.address.IsValid():
				case isVIP(conf, a):
					im.noteBlock(Wrong, in.last(key), "", fmt.Sprintf("%s %s is a virtual IP: only one node has it", key, a), "it must be the node's own address")
				default:
					p.address = netip.PrefixFrom(a, a.BitLen())
				}
			}
			p.priority[in.word(1)], _ = strconv.Atoi(in.last("priority").word(1))
			if in.last("unicast_peer") != nil {
				im.unicast = true
			}
		}
		im.pairs = append(im.pairs, p)
	}
	im.peersOfFirst()
	im.givenNodes()
	im.completeNodes()
}

// isVIP reports whether an address is a virtual IP.
func isVIP(conf *block, a netip.Addr) bool {
	for _, in := range conf.all("vrrp_instance") {
		for _, e := range append(in.last("virtual_ipaddress").entriesOf(), in.last("virtual_ipaddress_excluded").entriesOf()...) {
			if host, _, _ := strings.Cut(e.word(0), "/"); host == a.String() {
				return true
			}
		}
	}
	return false
}

var (
	validName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$`)
	notInName = regexp.MustCompile(`[^A-Za-z0-9.-]+`)
)

// hostName makes a host name of any name.
func hostName(s string) string { return strings.Trim(notInName.ReplaceAllString(s, "-"), "-.") }

// firstConf is the first keepalived.conf; nil: there is none.
func (im *importer) firstConf() *block {
	for _, p := range im.pairs {
		if p.conf != nil {
			return p.conf
		}
	}
	return nil
}

// peersOfFirst adds the peers that the first node's keepalived.conf names and that brought no files.
func (im *importer) peersOfFirst() {
	if len(im.pairs) == 0 || im.pairs[0].conf == nil {
		return
	}
	for _, in := range im.pairs[0].conf.all("vrrp_instance") {
		for _, peer := range in.last("unicast_peer").entriesOf() {
			a, err := netip.ParseAddr(peer.word(0))
			if err != nil || isVIP(im.pairs[0].conf, a) || slices.ContainsFunc(im.pairs, func(p *pairNode) bool { return p.address.Addr() == a }) {
				continue
			}
			if i := slices.IndexFunc(im.pairs[1:], func(p *pairNode) bool { return !p.address.IsValid() }); i >= 0 {
				im.pairs[i+1].address = netip.PrefixFrom(a, a.BitLen())
				continue
			}
			im.pairs = append(im.pairs, &pairNode{address: netip.PrefixFrom(a, a.BitLen()), priority: map[string]int{}})
		}
	}
}

// entriesOf returns the entries of a block, also of none.
func (b *block) entriesOf() []*block {
	if b == nil {
		return nil
	}
	return b.entries
}

// givenNodes takes what the user says about nodes: NAME=ADDRESS/PREFIX@INTERFACE.
func (im *importer) givenNodes() {
	for i, text := range im.options.Nodes {
		name, rest, _ := strings.Cut(text, "=")
		address, iface, _ := strings.Cut(rest, "@")
		if i >= len(im.pairs) {
			im.pairs = append(im.pairs, &pairNode{priority: map[string]int{}})
		}
		p := im.pairs[i]
		p.name = name
		if prefix, err := netip.ParsePrefix(address); err == nil {
			p.address = prefix
		} else if a, err := netip.ParseAddr(address); err == nil {
			p.address = netip.PrefixFrom(a, a.BitLen())
		}
		if iface != "" {
			p.iface = iface
		}
	}
}

// completeNodes gives the nodes what the files do not say: placeholders that must be replaced.
func (im *importer) completeNodes() {
	for len(im.pairs) < 2 {
		im.pairs = append(im.pairs, &pairNode{priority: map[string]int{}})
	}
	names := map[string]bool{}
	for i, p := range im.pairs {
		if p.name == "" || !validName.MatchString(p.name) || names[p.name] {
			p.name = fmt.Sprintf("lb%d", i+1)
		}
		for names[p.name] {
			p.name += "x"
		}
		names[p.name] = true
		if p.iface == "" {
			if p.iface = im.pairs[0].iface; p.iface == "" {
				p.iface = "eth0"
				im.note(Missing, nil, fmt.Sprintf("nodes[%d].interface", i), fmt.Sprintf("the interface of %s is not known; the spec has the placeholder eth0", p.name), "set it, or give --node "+p.name+"=ADDRESS/PREFIX@INTERFACE")
			}
		}
		if !p.address.IsValid() {
			p.guessed = true
			p.address = netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/24", 11+i))
			im.note(Missing, nil, fmt.Sprintf("nodes[%d].address", i), fmt.Sprintf("the address of %s is not known; the spec has the placeholder %s", p.name, p.address), "set it, or give --node "+p.name+"=ADDRESS/PREFIX@INTERFACE")
		}
	}
}

// useless are the track scripts of old pairs that only look whether a process of haproxy exists.
var useless = regexp.MustCompile(`killall|pidof|pgrep|systemctl|service haproxy|haproxy.*\.pid|kill -0|ps `)

// pidof matches a script that runs pidof without a shell. keepalived 2.2.8 of Ubuntu 24.04 then runs killall5, which prints its usage.
var pidof = regexp.MustCompile(`^(?:/usr)?(?:/s?bin/)?pidof\s`)

// watchesHAProxy reports whether a track script looks at haproxy, which ha-agent check does.
var watchesHAProxy = regexp.MustCompile(`haproxy|127\.0\.0\.1|localhost|killall|pidof`)

// hookKeys run scripts when the state of an instance changes.
var hookKeys = []string{"notify", "notify_master", "notify_backup", "notify_fault", "notify_stop", "notify_deleted"}

// instanceFields are entries of an instance that hapair writes itself.
var instanceFields = []string{"state", "interface", "virtual_router_id", "priority", "advert_int", "authentication", "virtual_ipaddress",
	"virtual_ipaddress_excluded", "virtual_routes", "track_script", "track_interface", "unicast_src_ip", "unicast_peer", "nopreempt", "preempt",
	"preempt_delay", "mcast_src_ip", "version", "timer_expired_backup"}

// leftOut are entries of an instance that hapair does not have.
var leftOut = []string{"check_unicast_src", "unicast_ttl", "lvs_sync_daemon_interface", "strict_mode"}

// critique reports what is wrong with the instances of the old pair.
func (im *importer) critique(in *block) {
	at := func(b *block, k Kind, message, hint string) { im.noteBlock(k, b, "", message, hint) }
	state, nopreempt := strings.ToUpper(in.last("state").word(1)), in.last("nopreempt")
	if state == "MASTER" && nopreempt != nil {
		at(nopreempt, Wrong, fmt.Sprintf("instance %s has state MASTER and nopreempt: keepalived ignores nopreempt then", in.word(1)), "hapair writes state BACKUP on all nodes")
	}
	if state != "" && state != "MASTER" && state != "BACKUP" {
		at(in.last("state"), Wrong, fmt.Sprintf("instance %s has the state %q: keepalived takes it for BACKUP", in.word(1), state), "hapair writes state BACKUP on all nodes")
	}
	if auth := in.last("authentication"); auth != nil {
		pass := auth.last("auth_pass").word(1)
		if len(pass) > 8 {
			at(auth.last("auth_pass"), Wrong, "auth_pass has more than 8 characters: keepalived uses the first 8 alone", "")
		}
		at(auth, Changed, fmt.Sprintf("instance %s: the password of VRRP is left out", in.word(1)), "VRRP version 3 has none; firewall: true lets VRRP in from the other nodes alone")
	}
	advert := 1.0
	if a := in.last("advert_int"); a != nil {
		if f, err := strconv.ParseFloat(a.word(1), 64); err == nil {
			advert = f
		}
	}
	if detection := time.Duration(advert * 3 * float64(time.Second)); detection >= 3*time.Second {
		k := Changed
		if detection >= 10*time.Second {
			k = Wrong
		}
		at(in, k, fmt.Sprintf("instance %s: it took %s until a node that was gone was replaced (advert_int %s)", in.word(1), detection, strconv.FormatFloat(advert, 'f', -1, 64)), "with hapair's advert_int of 250 ms it takes 0.8 s")
	}
	for _, v := range append(in.last("virtual_ipaddress").entriesOf(), in.last("virtual_ipaddress_excluded").entriesOf()...) {
		if a, err := netip.ParseAddr(v.word(0)); err == nil {
			at(v, Wrong, fmt.Sprintf("the VIP %s has no prefix: keepalived makes it a /%d", a, a.BitLen()), "write the prefix of its network")
		}
	}
	if len(in.last("track_script").entriesOf()) == 0 && len(in.last("track_process").entriesOf()) == 0 {
		at(in, Wrong, fmt.Sprintf("instance %s has no track_script: a node keeps its VIP while haproxy is dead", in.word(1)), "hapair adds its own check")
	}
}

// noteBlock adds a finding about an entry of keepalived.conf.
func (im *importer) noteBlock(k Kind, b *block, path, message, hint string) {
	f := Finding{Kind: k, Path: path, Message: message, Hint: hint}
	if b != nil {
		f.File, f.Line = b.file, b.number
	}
	if !slices.Contains(im.result.Findings, f) {
		im.result.Findings = append(im.result.Findings, f)
	}
}

// critiqueScripts reports which track scripts are unused, missing or useless.
func (im *importer) critiqueScripts(conf *block) {
	used := map[string]bool{}
	for _, kind := range []string{"vrrp_instance", "vrrp_sync_group"} {
		for _, in := range conf.all(kind) {
			for _, e := range in.last("track_script").entriesOf() {
				name := e.word(0)
				used[name] = true
				if !slices.ContainsFunc(conf.all("vrrp_script"), func(s *block) bool { return s.word(1) == name }) {
					im.noteBlock(Wrong, e, "", fmt.Sprintf("instance %s tracks the script %q, which does not exist: keepalived ignores it", in.word(1), name), "")
				}
			}
		}
	}
	for _, s := range conf.all("vrrp_script") {
		command := strings.Join(s.last("script").wordsFrom(1), " ")
		if !used[s.word(1)] {
			im.noteBlock(Wrong, s, "", fmt.Sprintf("no instance tracks the script %q: nothing happens if it fails", s.word(1)), "")
		}
		if useless.MatchString(command) {
			im.noteBlock(Wrong, s, "", fmt.Sprintf("the script %q only looks for a process: a haproxy that hangs is good", s.word(1)), "ha-agent check asks haproxy itself")
		}
		if pidof.MatchString(command) {
			im.noteBlock(Wrong, s, "", fmt.Sprintf("the script %q always fails on Debian and Ubuntu: pidof is a link to killall5, and keepalived runs the target of a link", s.word(1)), "")
		}
		fall, interval := number(s.last("fall").word(1), 1), number(s.last("interval").word(1), 1)
		if took := fall * interval; took >= 10 {
			im.noteBlock(Wrong, s, "", fmt.Sprintf("the script %q took up to %d s to notice that haproxy is dead (interval %d, fall %d)", s.word(1), took, interval, fall), "hapair takes 15 ms if haproxy dies, and about 200 ms if it hangs")
		}
	}
	if g := conf.last("global_defs"); g.last("enable_script_security") == nil && len(conf.all("vrrp_script")) > 0 {
		im.noteBlock(Wrong, conf.all("vrrp_script")[0], "", "scripts run as root, from folders that others may write to (no enable_script_security)", "hapair runs them as a user without rights")
	}
}

func (b *block) wordsFrom(i int) []string {
	if b == nil || i >= len(b.words) {
		return nil
	}
	return b.words[i:]
}

func number(s string, usual int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return usual
}
