package adopt

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// absolutePath finds paths in configuration files.
var absolutePath = regexp.MustCompile(`/[A-Za-z0-9._+@-]+(?:/[A-Za-z0-9._+@-]+)+`)

// Files returns the files of a node by their paths: haproxy.cfg, keepalived.conf, and those that they name, as far as bake
// can read them.
func (n *Node) Files() map[string][]byte {
	out := map[string][]byte{"/etc/haproxy/haproxy.cfg": []byte(n.HAProxy.Text), "/etc/keepalived/keepalived.conf": []byte(n.Keepalived.Text)}
	for _, l := range n.ownLines() {
		if l.file != n.Keepalived.Name {
			out[l.file] = n.Read(l.file)
		}
	}
	texts := []string{n.HAProxy.Text}
	for _, l := range n.confLines() {
		texts = append(texts, l.text)
	}
	for _, text := range texts {
		for _, p := range absolutePath.FindAllString(text, -1) {
			if _, has := out[p]; has || n.Read == nil || path.Clean(p) != p {
				continue
			}
			if data := n.Read(p); data != nil {
				out[p] = data
			}
		}
	}
	return out
}

// Packages returns the packages with the programs that the scripts of a pair call, and that a minimal system does not have.
func Packages(nodes []Node) []string {
	needs := map[string]string{"killall": "psmisc", "curl": "curl", "wget": "wget", "socat": "socat", "nc": "netcat-openbsd", "python3": "python3"}
	seen := map[string]bool{}
	for i := range nodes {
		for _, data := range nodes[i].Files() {
			for _, word := range regexp.MustCompile(`[a-z0-9]+`).FindAllString(string(data), -1) {
				if p := needs[word]; p != "" {
					seen[p] = true
				}
			}
		}
	}
	var out []string
	for p := range seen {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// Reasons explains what a pair does at each fault of the drill, by the fault's name.
func Reasons(n *Node) map[string]string {
	conf := n.conf()
	advert, tracked := 1.0, []string{}
	for _, in := range conf.all("vrrp_instance") {
		if f, err := strconv.ParseFloat(in.last("advert_int").word(1), 64); err == nil {
			advert = f
		}
		for _, e := range in.last("track_script").entriesOf() {
			tracked = append(tracked, e.word(0))
		}
	}
	out := map[string]string{}
	gone := fmt.Sprintf("the other node waits for three advertisements, one every %s s; hapair's come every 250 ms", strconv.FormatFloat(advert, 'f', -1, 64))
	for _, fault := range []string{"node-crash", "link-cut"} {
		out[fault] = gone
	}
	out["keepalived-kill"] = "the distribution does not restart keepalived, and the virtual IP stays on its interface; hapair's unit restarts it, and the agent releases the address"
	out["haproxy-kill"] = "no script tests haproxy: the node keeps the virtual IP until systemd has restarted haproxy"
	out["haproxy-stop"] = "no script tests haproxy: the node keeps the virtual IP for as long as haproxy hangs"
	for _, s := range conf.all("vrrp_script") {
		if !slices.Contains(tracked, s.word(1)) {
			continue
		}
		command := mask(strings.Join(s.last("script").wordsFrom(1), " "))
		interval, fall := number(s.last("interval").word(1), 1), number(s.last("fall").word(1), 1)
		runs := fmt.Sprintf("the script %q runs every %d s", command, interval)
		if fall > 1 {
			runs += fmt.Sprintf(" and must fail %d times", fall)
		}
		if number(s.last("weight").word(1), 0) != 0 {
			runs += "; its weight then lets the other node win the next election, without an announcement"
		}
		out["haproxy-kill"] = runs + ", unless systemd has restarted haproxy before that; hapair's agent sees the end of the process at once"
		if useless.MatchString(command) {
			out["haproxy-stop"] = fmt.Sprintf("the script %q only looks for a process, and a haproxy that hangs has one; hapair's agent asks haproxy itself", command)
		} else {
			out["haproxy-stop"] = runs + "; hapair's agent asks haproxy several times a second"
		}
	}
	return out
}
