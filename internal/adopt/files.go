package adopt

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// fileWords are followed by the path of a file on the node. Certificates are not among them.
var fileWords = regexp.MustCompile(`(?:^|\s)(?:-f|lua-load|lua-load-per-thread|errorfile\s+\d+|lf-file|file|external-check command|crt-list|tls-ticket-keys|config|ssl-dh-param-file|h1-case-adjust-file)\s+(/[^\s"']+)|\b(?:map(?:_[a-z0-9]+)*)\((/[^,)\s"']+)`)

// certificateWords are followed by the path of a certificate.
var certificateWords = regexp.MustCompile(`(?:^|\s)(?:crt|ca-file|crl-file|ca-verify-file|ca-sign-file)\s+([^\s"']+)`)

// files takes the files that the configuration names, if bake can read them, and lists the others.
func (im *importer) files() []mapping {
	var out []mapping
	seen := map[string]bool{}
	certificates := map[string]bool{}
	add := func(l *line, p, mode string) {
		if seen[p] || strings.HasPrefix(p, "/dev/") || strings.HasPrefix(p, "/run/") || strings.HasPrefix(p, "/var/run/") {
			return
		}
		seen[p] = true
		data, ok := im.read(p)
		if !ok || !nodePath.MatchString(p) || path.Clean(p) != p {
			im.note(Missing, l, "files", fmt.Sprintf("the file %s", p), "copy it beside the spec and list it in files, or install it in the image")
			return
		}
		name := "files/" + path.Base(p)
		for n := 2; slices.ContainsFunc(im.result.Files, func(f OutFile) bool { return f.Name == name }); n++ {
			name = fmt.Sprintf("files/%d-%s", n, path.Base(p))
		}
		im.result.Files = append(im.result.Files, OutFile{Name: name, Data: data})
		m := newMapping().flow()
		m.set("path", p)
		m.set("from", name)
		m.set("mode", mode)
		out = append(out, m)
		im.result.Fields["files"]++
	}
	for _, s := range im.sections {
		for i := range s.lines {
			l := &s.lines[i]
			for _, m := range fileWords.FindAllStringSubmatch(l.raw, -1) {
				add(l, m[1]+m[2], "")
			}
			for _, m := range certificateWords.FindAllStringSubmatch(l.raw, -1) {
				if !certificates[m[1]] {
					certificates[m[1]] = true
					im.note(Missing, l, "", fmt.Sprintf("the certificate %s", m[1]), "install it on the nodes; until then a placeholder takes its place")
				}
			}
		}
	}
	var scripts []string
	for p := range im.scripts {
		scripts = append(scripts, p)
	}
	slices.Sort(scripts)
	for _, p := range scripts {
		if b := im.scripts[p]; strings.HasPrefix(p, "/") {
			add(&line{file: b.file, number: b.number}, strings.Fields(p)[0], "0755")
		}
	}
	return out
}

// read reads a file of the first node that has it.
func (im *importer) read(p string) ([]byte, bool) {
	for _, n := range im.nodes {
		if n.Read != nil {
			if data := n.Read(p); data != nil {
				return data, true
			}
		}
	}
	return nil, false
}

// ownKeepalived are entries of global_defs that hapair writes itself or that contradict it.
var ownKeepalived = map[string]string{
	"router_id": "", "script_user": "hapair's scripts run as a user without rights", "enable_script_security": "", "vrrp_version": "hapair has version 3",
	"vrrp_strict": "it contradicts unicast and drops packets to the VIPs", "reload_check_config": "", "vrrp_garp_master_repeat": "hapair has its own",
	"vrrp_garp_master_delay": "hapair has its own", "vrrp_garp_master_refresh": "hapair has its own", "vrrp_garp_master_refresh_repeat": "hapair has its own",
	"vrrp_higher_prio_send_advert": "", "vrrp_notify_fifo": "the agent reads it", "vrrp_priority": "", "lvs_id": "", "vrrp_notify_fifo_script": "use on_change of a VIP",
}

// writeKeepalived writes the blocks that are not of an instance.
func (im *importer) writeKeepalived() mapping {
	var extra []string
	for _, b := range im.firstConf().entriesOf() {
		switch b.word(0) {
		case "vrrp_instance", "vrrp_script", "vrrp_sync_group":
		case "global_defs":
			var keep []*block
			for _, e := range b.entries {
				why, own := ownKeepalived[e.word(0)]
				if !own {
					keep = append(keep, e)
				} else if why != "" {
					im.noteBlock(Changed, e, "", fmt.Sprintf("%s is left out", e.word(0)), why)
				}
			}
			if len(keep) > 0 {
				c := *b
				c.entries = keep
				extra = append(extra, c.text(""))
				im.noteBlock(Lines, b, "keepalived.extra", "global_defs", "")
			}
		case "track_file", "vrrp_track_file", "vrrp_track_process", "track_process":
			if im.others[b] {
				extra = append(extra, b.text(""))
				im.noteBlock(Lines, b, "keepalived.extra", strings.Join(b.words, " "), "")
				continue
			}
			im.noteBlock(Changed, b, "", fmt.Sprintf("%s %s is left out", b.word(0), b.word(1)), "no VIP of the spec needs it")
		case "instance", "use_pid_dir":
			im.noteBlock(Changed, b, "", b.raw+" is left out", "the nodes have one keepalived")
		case "net_namespace", "net_namespace_ipvs":
			im.noteBlock(Lost, b, "", b.raw+" is left out", "keepalived runs in the namespace of the system")
		case "virtual_server":
			im.noteBlock(Changed, b, "", fmt.Sprintf("%s is balanced by the kernel (IPVS), not by haproxy", strings.Join(b.words, " ")),
				"it stays as it is in keepalived.extra: drill, firewall and verify do not see it, and the image needs the kernel's ip_vs; a service in its place would have all that")
			extra = append(extra, im.withoutPasswords(b).text(""))
			im.noteBlock(Lines, b, "keepalived.extra", strings.Join(b.words, " "), "")
		case "include":
			im.noteBlock(Missing, b, "", "the files that keepalived.conf includes: "+b.word(1), "put their text in place of the include and import it again")
		default:
			extra = append(extra, im.withoutPasswords(b).text(""))
			im.noteBlock(Lines, b, "keepalived.extra", strings.Join(b.words, " "), "")
		}
	}
	m := newMapping()
	m.set("extra", block2(strings.TrimSpace(strings.Join(extra, "\n"))))
	return m
}

// withoutPasswords returns a block without passwords, which must not be in a spec.
func (im *importer) withoutPasswords(b *block) *block {
	c := *b
	c.entries = nil
	for _, e := range b.entries {
		if w := e.word(0); w == "password" || w == "auth_pass" || w == "smtp_password" {
			im.noteBlock(Lost, e, "", fmt.Sprintf("the %s of %s is left out: a spec contains no passwords", w, strings.Join(b.words, " ")), "")
			continue
		}
		c.entries = append(c.entries, im.withoutPasswords(e))
	}
	return &c
}

// compareNodes reports what differs between the haproxy.cfg of the nodes.
func (im *importer) compareNodes() {
	for _, n := range im.nodes[1:] {
		if strings.TrimSpace(n.HAProxy.Text) == "" {
			continue
		}
		other := parse(n.HAProxy.Name, n.HAProxy.Text)
		mine := parse(im.nodes[0].HAProxy.Name, im.nodes[0].HAProxy.Text)
		for _, d := range unlike(mine, other) {
			im.note(Wrong, d.line, "", d.message, "the spec has what the first node has")
		}
	}
}

type difference struct {
	line    *line
	message string
}

// unlike compares two files section by section.
func unlike(a, b []*section) []difference {
	out := missing(a, b, "only this node has ", "only this node has: ")
	return append(out, missing(b, a, "the other node lacks ", "the other node lacks: ")...)
}

// missing returns the sections of b that a lacks, and the lines that a's section of the same name lacks.
func missing(a, b []*section, aSection, aLine string) []difference {
	name := func(s *section) string { return strings.TrimSpace(s.kind + " " + s.name) }
	byName := map[string]*section{}
	for _, s := range a {
		byName[name(s)] = s
	}
	var out []difference
	for _, s := range b {
		other := byName[name(s)]
		if other == nil {
			out = append(out, difference{&s.head, aSection + name(s)})
			continue
		}
		for i := range s.lines {
			l := &s.lines[i]
			if !slices.ContainsFunc(other.lines, func(o line) bool { return slices.Equal(o.words, l.words) }) {
				out = append(out, difference{l, aLine + mask(l.raw)})
			}
		}
	}
	return out
}
