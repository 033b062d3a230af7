package judge

import (
	"strings"
)

// aScript is a program that exists on every machine and that only root can change.
const aScript = "/usr/bin/true"

// stubKeepalived returns a copy of a keepalived.conf with the same number of lines, in which stubs replace what exists only on
// a node: scripts, users, files and host names. Interfaces may be missing.
func stubKeepalived(config string, st *stubs) string {
	k := keepalivedStubber{stubs: st}
	lines := strings.Split(config, "\n")
	for i, line := range lines {
		lines[i] = k.line(line)
	}
	return strings.Join(lines, "\n")
}

type keepalivedStubber struct {
	*stubs
	blocks  []string // the first word of each open block
	pending string   // the first word of the previous line, whose brace may be on this one
	dynamic bool     // dynamic_interfaces was added
}

func (k *keepalivedStubber) line(line string) string {
	ws := cutKeepalived(line)
	if len(ws) > 0 && strings.HasPrefix(ws[0].text, "@") { // only for some config-ids
		ws = ws[1:]
	}
	if len(ws) == 0 {
		if k.in() == "global_defs" && !k.dynamic {
			k.dynamic = true
			return "dynamic_interfaces" // replaces a comment
		}
		return line
	}
	var e edits
	k.entry(ws, &e)
	for i, w := range ws {
		switch {
		case w.text == "{":
			head := k.pending
			if i > 0 {
				head = ws[0].text
			}
			k.blocks = append(k.blocks, head)
		case w.text == "}" && len(k.blocks) > 0:
			k.blocks = k.blocks[:len(k.blocks)-1]
		}
	}
	k.pending = ws[0].text
	return e.apply(line)
}

func (k *keepalivedStubber) in() string {
	if len(k.blocks) == 0 {
		return ""
	}
	return k.blocks[len(k.blocks)-1]
}

func (k *keepalivedStubber) entry(ws []word, e *edits) {
	first := ws[0].text
	rest := func(text string) {
		if len(ws) > 1 {
			*e = append(*e, edit{ws[1].start, ws[len(ws)-1].end, text})
		}
	}
	whole := edit{ws[0].start, ws[len(ws)-1].end, ""}
	switch {
	case len(ws) > 1 && ws[1].text == "{":
	case strings.HasPrefix(first, "include"), first == "net_namespace", first == "net_namespace_ipvs", first == "namespace_with_ipsets":
		*e = append(*e, whole)
	case first == "enable_script_security" && k.exists == nil:
		*e = append(*e, whole) // the owner of the scripts is known only on the node
	case first == "script_user":
		if !k.unknown(ws[1:]) {
			rest("root") // keepalived 2.2.5 to 2.2.7 end a test with SIGTERM if scripts run as another user than keepalived
		}
	case first == "user" && k.in() == "vrrp_script":
		if !k.unknown(ws[1:]) {
			*e = append(*e, whole)
		}
	case first == "script" || first == "misc_path" || first == "quorum_up" || first == "quorum_down" || strings.HasPrefix(first, "notify"):
		k.script(ws, e)
	case strings.HasSuffix(first, "_fifo"):
		if len(ws) > 1 {
			e.replace(ws[1], k.file(ws[1].text, anyFile))
		}
	case strings.HasSuffix(first, "_fifo_script"):
		k.script(ws, e)
	case first == "file" && (k.in() == "track_file" || k.in() == "vrrp_track_file"):
		rest(k.file(ws[min(1, len(ws)-1)].text, anyFile))
	case first == "smtp_server" || first == "smtp_helo_name":
		if a, ok := numericAddress(ws[min(1, len(ws)-1)].text); ok && first == "smtp_server" {
			e.replace(ws[1], a)
		}
	}
}

// unknown reports whether a user, or the group that follows it, will be missing on a node.
func (k *keepalivedStubber) unknown(ws []word) bool {
	missing := false
	for i, w := range ws[:min(len(ws), 2)] {
		missing = k.absent([]string{"user ", "group "}[i]+w.text) || missing
	}
	return missing
}

// script replaces a command whose program is not on the machine, and the user that may follow it.
func (k *keepalivedStubber) script(ws []word, e *edits) {
	if len(ws) < 2 || strings.HasPrefix(ws[0].text, "notify_") && strings.HasSuffix(ws[0].text, "_fifo") {
		return
	}
	program, _, _ := strings.Cut(strings.TrimSpace(ws[1].text), " ")
	if !strings.HasPrefix(program, "/") {
		return
	}
	known := k.has(program)
	if len(ws) > 2 && ws[2].text != "{" && !k.unknown(ws[2:]) {
		*e = append(*e, edit{ws[2].start, ws[len(ws)-1].end, ""})
	}
	if !known {
		e.replace(ws[1], aScript)
	}
}
