// Package adopt turns the files of a pair that somebody else set up, haproxy.cfg and keepalived.conf, into a spec. It takes
// fields for what has a field and raw lines for all else, reports what was wrong with the pair, and proves that haproxy sees
// the same frontends, backends and servers in the old file and in the one that is rendered from the spec.
package adopt

import (
	"fmt"
	"slices"
	"strings"
)

// File is a file of the old pair.
type File struct{ Name, Text string }

// Node is a machine of the old pair.
type Node struct {
	Name       string // empty: not known
	HAProxy    File   // several files are one after the other
	Keepalived File   // without a text: there is none
	// Read returns a file of the node, by its path on the node; nil: bake cannot read it.
	Read func(path string) []byte
	// Glob returns the files of the node that Read can read and that match a pattern; nil: none.
	Glob func(pattern string) []string

	config string // the name in the conditions of keepalived.conf; empty: that of the node
}

// Options are values of the spec that the files do not contain.
type Options struct {
	Cluster string
	Release string            // of the new nodes; empty: the default
	Env     map[string]string // variables of the environment that haproxy.cfg uses
	VIPs    []string          // NAME=ADDRESS/PREFIX, for a pair without keepalived.conf
	Nodes   []string          // NAME=ADDRESS/PREFIX@INTERFACE
}

// Kind is what a finding is about.
type Kind string

const (
	Lines   Kind = "lines"   // has no field, and is passed through
	Changed Kind = "changed" // is done in another way
	Wrong   Kind = "wrong"   // was wrong with the old pair
	Missing Kind = "missing" // must be supplied
	Lost    Kind = "lost"    // is not in the spec
)

// Finding is an entry of the report.
type Finding struct {
	Kind    Kind   `json:"kind"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Path    string `json:"path,omitempty"` // in the spec
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Result is what an import makes.
type Result struct {
	Spec     []byte
	Files    []OutFile // to be written beside the spec
	Findings []Finding
	// Fields counts what was taken by fields: services, backends, servers, routes and so on.
	Fields map[string]int

	old     []*section // as the release's haproxy takes it
	binds   map[string][]string
	rename  map[string]string
	crtBase string
}

// OutFile is a file that belongs to the spec.
type OutFile struct {
	Name   string // relative to the spec
	Data   []byte
	Secret bool // only the owner may read it
}

// Has reports whether there is a finding of a kind.
func (r *Result) Has(k Kind) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind == k })
}

// importer is one import.
type importer struct {
	nodes   []Node
	options Options
	result  *Result
	global  *section
	// main is the defaults section that all proxies share; nil if they have several.
	main     *section
	sections []*section
	proxies  []*section
	vips     []*vip
	pairs    []*pairNode
	userlist []string // sections that take the place of "stats auth"
	unicast  bool
	scripts  map[string]*block
	devices  []string // interfaces of routes
	// described are the interfaces that VIPs have; the first of them describes a VLAN.
	described []string
	hooked    []*block        // vrrp_sync_groups whose notify lines were taken
	others    map[*block]bool // tracked processes and files that the spec has in keepalived.extra
}

// Import makes a spec of a pair. It returns an error only if there is nothing to import.
func Import(nodes []Node, o Options) (*Result, error) {
	if len(nodes) == 0 || strings.TrimSpace(nodes[0].HAProxy.Text) == "" {
		return nil, fmt.Errorf("cannot import the pair: there is no haproxy.cfg")
	}
	im := &importer{nodes: byCondition(nodes), options: o, result: &Result{Fields: map[string]int{}, rename: map[string]string{}}}
	text, err := im.conditions(nodes[0].HAProxy)
	if err != nil {
		return nil, err
	}
	im.sections = parse(nodes[0].HAProxy.Name, text)
	im.modernise()
	im.result.old = im.sections
	im.result.binds = map[string][]string{}
	for _, s := range im.sections {
		switch s.kind {
		case "global":
			if im.global == nil {
				im.global = s
			} else {
				im.global.lines = append(im.global.lines, s.lines...)
			}
		case "frontend", "backend", "listen":
			im.proxies = append(im.proxies, s)
		}
	}
	if im.global != nil {
		for _, l := range im.global.lines {
			if l.is("crt-base") {
				im.result.crtBase = l.word(1)
			}
		}
	}
	im.uniqueNames()
	if len(im.proxies) == 0 {
		return nil, fmt.Errorf("cannot import %s: it has no frontend, backend or listen section", nodes[0].HAProxy.Name)
	}
	im.chooseDefaults()
	im.keepalived()
	im.planVIPs()
	im.compareNodes()
	if err := im.write(); err != nil {
		return nil, err
	}
	return im.result, nil
}

// note adds a finding about a line.
func (im *importer) note(k Kind, l *line, path, message, hint string) {
	f := Finding{Kind: k, Path: path, Message: message, Hint: hint}
	if l != nil {
		f.File, f.Line = l.file, l.number
	}
	if !slices.Contains(im.result.Findings, f) {
		im.result.Findings = append(im.result.Findings, f)
	}
}

// chooseDefaults finds the defaults section that all proxies share.
func (im *importer) chooseDefaults() {
	for i, p := range im.proxies {
		if i == 0 {
			im.main = p.defaults
		} else if p.defaults != im.main {
			im.main = nil
			return
		}
	}
}

// uniqueNames gives a frontend or a backend that has the name of an earlier one another name.
func (im *importer) uniqueNames() {
	taken := map[string]bool{}
	for _, p := range im.proxies {
		halves := []string{"frontend ", "backend "}
		switch p.kind {
		case "frontend":
			halves = halves[:1]
		case "backend":
			halves = halves[1:]
		}
		base := p.name
		for n := 2; slices.ContainsFunc(halves, func(h string) bool { return taken[h+p.name] }); n++ {
			p.name = fmt.Sprintf("%s-%d", base, n)
		}
		for _, h := range halves {
			taken[h+p.name] = true
		}
		if p.name != base {
			im.note(Wrong, &p.head, "", fmt.Sprintf("there are two sections named %s %s: this one is %s now", p.kind, base, p.name), "haproxy refuses such names, or warns of them")
		}
	}
}
