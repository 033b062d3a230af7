// Package keepalivedconf renders a keepalived.conf from a spec, for each version of keepalived. It is separate from package
// keepalived, because the agent must not link the spec and templates.
package keepalivedconf

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/srcmap"
	"github.com/hapair/hapair/internal/wellknown"
)

//go:embed keepalived.conf.tmpl
var configTemplate string

// config is the input of the template.
type config struct {
	Node, Cluster string // empty in an image
	NodePath      string // of the node in the spec
	Version       release.Version
	// keepalived 2.2.5 to 2.2.7 end a test with SIGTERM if a script's user is not their own (fixed in 2.2.8). With
	// reload_check_config, which tests before each reload, they therefore refuse all reloads.
	TestDiesByScriptUser bool
	ReloadCheck          bool
	YieldsWhenLate       bool // timer_expired_backup: keepalived 2.2.8 and later have it; it requires nopreempt
	Interface            string
	AdvertInt            string // seconds
	Preempt              bool
	Unicast              bool
	Scripts              []script
	Groups               []group
	Instances            []instance
	Definitions, Extra   string // keepalived.extra: before the instances if it defines what they can track, and else behind them
}

// TestID is the config-id with which the file is tested.
func (config) TestID() string { return keepalived.TestID }

// Paths and names on a node for the template.
func (config) CheckUser() string  { return wellknown.CheckUser }
func (config) NotifyFIFO() string { return wellknown.NotifyFIFO }
func (config) Agent() string      { return wellknown.Agent }
func (config) TrackFile() string  { return wellknown.TrackFile }

type instance struct {
	VirtualRouter
	Path         string // of the VIP in the spec
	Priority     int    // without the holder's bonus
	HolderBonus  int    // added while the agent's file contains 1; 0: no bonus
	HolderFile   string
	Grouped      bool // in a vrrp_sync_group of keepalived.extra, and therefore without a bonus
	Source       netip.Addr
	Peers        []netip.Addr
	VIPInterface string
	Track        []string // the VIP's interfaces other than VRRP's, which is always tracked
	Scripts      []string // names of the track scripts of the spec
	PreemptDelay string   // seconds; empty: none
	Routes       []route
	Rules        []rule
	Lines        string
}

// Render returns a node's keepalived.conf for a version of keepalived. The spec must be valid. A value that would still change
// the meaning of the file is an error.
func Render(s *spec.Spec, n *spec.Node, v release.Version) ([]byte, error) {
	out, _, err := RenderLines(s, n, v)
	return out, err
}

// defines matches what an instance can track. keepalived ignores a name that is defined behind the instance.
var defines = regexp.MustCompile(`(?m)^\s*(?:vrrp_script|(?:vrrp_)?track_(?:file|process)|bfd_instance)\b`)

// RenderLines is like Render and also returns the origin of each line in the spec.
func RenderLines(s *spec.Spec, n *spec.Node, v release.Version) ([]byte, []srcmap.Origin, error) {
	c := config{
		Node: n.Name, Cluster: s.Cluster,
		Interface: n.Interface,
		AdvertInt: seconds(s.VRRP.AdvertInt),
		Preempt:   s.VRRP.Preempt,
		Unicast:   s.VRRP.Transport == spec.Unicast,
		NodePath:  "nodes",
	}
	for i := range s.Nodes {
		if s.Nodes[i].Name == n.Name {
			c.NodePath = fmt.Sprintf("nodes[%d]", i)
		}
	}
	if extra := strings.Trim(s.Keepalived.Extra, "\n"); extra != "" {
		extra = srcmap.Text("keepalived.extra", s.Keepalived.Extra) + extra
		if defines.MatchString(s.Keepalived.Extra) {
			c.Definitions = extra
		} else {
			c.Extra = extra
		}
	}
	c.Scripts, c.Groups = scripts(s), groups(s)
	grouped := keepalived.Read([]byte(s.Keepalived.Extra)).Grouped
	for i := range s.VIPs {
		in, err := newInstance(s, n, &s.VIPs[i], grouped)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot render keepalived.conf of node %s: %w", n.Name, err)
		}
		in.Path = fmt.Sprintf("vips[%d]", i)
		if lines := strings.Trim(s.VIPs[i].Lines, "\n"); lines != "" {
			in.Lines = srcmap.Text(in.Path+".lines", s.VIPs[i].Lines) + lines
		}
		c.Instances = append(c.Instances, in)
	}
	out, err := execute(c, v)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot render keepalived.conf of node %s: %w", n.Name, err)
	}
	out, lines := srcmap.Split(out)
	return out, lines, nil
}

// Base returns the keepalived.conf of an image: valid, without identity or instance. keepalived idles with it.
func Base(v release.Version) []byte {
	out, err := execute(config{}, v)
	if err != nil {
		panic(err) // the template is part of the program
	}
	out, _ = srcmap.Split(out)
	return out
}

func execute(c config, v release.Version) ([]byte, error) {
	c.Version = v
	c.TestDiesByScriptUser = v.AtLeast(2, 2, 5) && !v.AtLeast(2, 2, 8)
	c.ReloadCheck = !c.TestDiesByScriptUser
	c.YieldsWhenLate = v.AtLeast(2, 2, 8) && !c.Preempt
	t, err := template.New("keepalived.conf").Funcs(template.FuncMap{
		"word": word, "command": command, "at": srcmap.Field,
		"on": func(path ...string) string { return srcmap.Line(strings.Join(path, "")) },
	}).Parse(configTemplate)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, c); err != nil {
		return nil, err
	}
	return append(bytes.TrimRight(out.Bytes(), "\n"), '\n'), nil
}

// newInstance returns an instance. One that is in a vrrp_sync_group of keepalived.extra has no holder's bonus: without
// sync_group_tracking_weight keepalived ignores a weighted track_file there, and a test of the file fails with status 5
// ("ignoring tracked file ... due to SYNC group"). The generated groups have that option.
func newInstance(s *spec.Spec, n *spec.Node, vip *spec.VIP, grouped []string) (instance, error) {
	router, err := NewVirtualRouter(s, vip)
	if err != nil {
		return instance{}, err
	}
	out := instance{VirtualRouter: router, HolderBonus: s.HolderBonus(), VIPInterface: vip.InterfaceOn(n),
		HolderFile: keepalived.HolderFile(wellknown.TrackFile, router.Name)}
	if slices.Contains(grouped, router.Name) && out.HolderBonus > 0 {
		out.HolderBonus, out.Grouped = 0, true
	}
	out.Priority = s.PriorityOf(n, vip) - out.HolderBonus
	if out.VIPInterface != n.Interface {
		out.Track = []string{out.VIPInterface}
	}
	if vip.PreemptDelay > 0 {
		out.PreemptDelay = seconds(vip.PreemptDelay)
	}
	out.Scripts = scriptsOf(s, vip)
	out.Routes, out.Rules = policy(vip, out.VIPInterface)
	if router.Family == spec.IPv4 || s.VRRP.Transport == spec.Unicast {
		out.Source = n.Addr(router.Family) // multicast over IPv6 uses the link-local address (RFC 9568, 5.1.2.1)
	}
	for _, peer := range s.Peers(n) {
		if addr := peer.Addr(router.Family); addr.IsValid() {
			out.Peers = append(out.Peers, addr)
		}
	}
	return out, nil
}

// word returns a value if keepalived's parser reads it as one plain word, and an error otherwise: no value of a spec can begin
// a comment ("#", "!"), a quotation, a block, a definition ("$"), a condition ("@") or another line (keepalived.conf(5)).
func word(s string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("an empty value is not allowed: keepalived.conf needs a word")
	}
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune("\"'\\#!{}$@~<>|", r) {
			return "", fmt.Errorf("%q is not allowed in keepalived.conf: it contains %q", s, r)
		}
	}
	return s, nil
}

// command returns words that are separated by single spaces, for use in quotes.
func command(s string) (string, error) {
	for _, w := range strings.Split(s, " ") {
		if _, err := word(strings.ReplaceAll(w, "@", "at")); err != nil { // only a line can begin with a condition
			return "", err
		}
	}
	return s, nil
}
