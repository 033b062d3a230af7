package keepalived

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// File is the part of a keepalived.conf that the agent needs. Only keepalived -t can judge the file.
type File struct {
	RouterID  string
	Instances []Instance
	Includes  []string // patterns, as written in the file
	// TrackFiles are the track_file blocks, by name.
	TrackFiles map[string]TrackedFile
	Grouped    []string // the names of the instances in a vrrp_sync_group
	Groups     []Group
}

// Group is a vrrp_sync_group: instances that move together.
type Group struct {
	Name    string
	Members []string // names of instances
}

// Instance is a vrrp_instance.
type Instance struct {
	Name            string
	Interface       string
	VirtualRouterID int
	Priority        int           // 0 if the file has none
	AdvertInt       time.Duration // as in keepalived, one second if the file has none
	VIPs            []VIP         // of virtual_ipaddress and virtual_ipaddress_excluded
	Transport                     // how it advertises
	TrackFiles      []string      // names of its track_file blocks
}

// VIP is an address of a vrrp_instance.
type VIP struct {
	Address   netip.Prefix // as in keepalived, /32 or /128 if the file has no prefix length
	Interface string       // dev, or the instance's interface
	Excluded  bool         // in virtual_ipaddress_excluded: not part of advertisements
}

// Read parses the instances of a keepalived.conf. It ignores what it does not need. It does not evaluate keepalived's
// @-conditions and ~-lists, which hapair does not write.
func Read(data []byte) File {
	r := reader{}
	for line := range strings.Lines(string(data)) {
		r.line(words(line))
	}
	for i := range r.file.Instances {
		in := &r.file.Instances[i]
		for j := range in.VIPs {
			if in.VIPs[j].Interface == "" {
				in.VIPs[j].Interface = in.Interface
			}
		}
		in.Transport.complete(r.defaults, in.VIPs)
	}
	return r.file
}

// reader parses a file line by line. blocks are the open blocks, each with the words before its brace.
type reader struct {
	file     File
	defaults Transport // of global_defs
	blocks   [][]string
	pending  []string // the words of a line whose brace may be on the next line
}

func (r *reader) line(ws []string) {
	var entry []string
	for _, w := range ws {
		switch w {
		case "{":
			if len(entry) == 0 {
				entry = r.pending
			}
			r.blocks = append(r.blocks, entry)
			r.opened(entry)
			entry, r.pending = nil, nil
		case "}":
			r.entry(entry)
			entry = nil
			if len(r.blocks) > 0 {
				r.blocks = r.blocks[:len(r.blocks)-1]
			}
		default:
			entry = append(entry, w)
		}
	}
	if len(entry) > 0 {
		r.entry(entry)
		r.pending = entry
	}
}

// opened handles the beginning of a block.
func (r *reader) opened(head []string) {
	if len(r.blocks) == 1 && len(head) >= 2 && head[0] == "vrrp_instance" {
		r.file.Instances = append(r.file.Instances, Instance{Name: head[1], AdvertInt: time.Second})
	}
	if len(r.blocks) == 1 && len(head) >= 2 && head[0] == "vrrp_sync_group" {
		r.file.Groups = append(r.file.Groups, Group{Name: head[1]})
	}
	r.openedTrackFile()
}

// entry handles a line in the open blocks.
func (r *reader) entry(ws []string) {
	if len(ws) == 0 {
		return
	}
	if len(ws) >= 2 && strings.HasPrefix(ws[0], "include") {
		r.file.Includes = append(r.file.Includes, ws[1])
		return
	}
	switch {
	case r.within("global_defs") && len(ws) >= 2 && ws[0] == "router_id":
		r.file.RouterID = ws[1]
	case r.within("vrrp_instance"):
		in := &r.file.Instances[len(r.file.Instances)-1]
		in.Transport.entry(ws)
		if len(ws) < 2 {
			return
		}
		switch ws[0] {
		case "interface":
			in.Interface = ws[1]
		case "virtual_router_id":
			in.VirtualRouterID, _ = strconv.Atoi(ws[1])
		case "priority":
			in.Priority, _ = strconv.Atoi(ws[1])
		case "advert_int":
			if d, err := time.ParseDuration(ws[1] + "s"); err == nil && d > 0 {
				in.AdvertInt = d
			}
		}
	case r.within("vrrp_instance", "virtual_ipaddress"), r.within("vrrp_instance", "virtual_ipaddress_excluded"):
		if v, ok := vip(ws); ok {
			in := &r.file.Instances[len(r.file.Instances)-1]
			v.Excluded = r.within("vrrp_instance", "virtual_ipaddress_excluded")
			in.VIPs = append(in.VIPs, v)
		}
	case r.within("vrrp_sync_group", "group"):
		r.file.Grouped = append(r.file.Grouped, ws...)
		if n := len(r.file.Groups); n > 0 {
			r.file.Groups[n-1].Members = append(r.file.Groups[n-1].Members, ws...)
		}
	default:
		r.transport(ws)
	}
}

// within reports whether exactly these blocks are open. A vrrp_instance without a name does not count.
func (r *reader) within(names ...string) bool {
	if len(r.blocks) != len(names) {
		return false
	}
	for i, name := range names {
		if len(r.blocks[i]) == 0 || r.blocks[i][0] != name || (name == "vrrp_instance" && len(r.blocks[i]) < 2) {
			return false
		}
	}
	return true
}

// vip parses a line of virtual_ipaddress: ADDRESS[/PREFIX] [dev INTERFACE] and more.
func vip(ws []string) (VIP, bool) {
	var v VIP
	if p, err := netip.ParsePrefix(ws[0]); err == nil {
		v.Address = p
	} else if a, err := netip.ParseAddr(ws[0]); err == nil && a.Zone() == "" {
		v.Address = netip.PrefixFrom(a, a.BitLen())
	} else {
		return v, false
	}
	for i := 1; i+1 < len(ws); i++ {
		if ws[i] == "dev" {
			v.Interface = ws[i+1]
		}
	}
	return v, true
}

// words splits a line. A comment begins with # or !, quotes keep spaces, and a brace is a separate word.
func words(line string) []string {
	var ws []string
	var word strings.Builder
	quoted, has := false, false
	flush := func() {
		if has {
			ws = append(ws, word.String())
		}
		word.Reset()
		has = false
	}
	for _, c := range line {
		switch {
		case c == '"':
			quoted = !quoted
			has = true
		case quoted:
			word.WriteRune(c)
		case (c == '#' || c == '!') && !has:
			return ws
		case c == '{' || c == '}':
			flush()
			ws = append(ws, string(c))
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			flush()
		default:
			word.WriteRune(c)
			has = true
		}
	}
	flush()
	return ws
}
