package nodediff

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/agent/inventory"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

const pair = `apiVersion: hapair/v1
cluster: c
nodes:
  - {name: a, address: 192.0.2.1/24, interface: eth0}
  - {name: b, address: 192.0.2.2/24, interface: eth0}
vips: [{name: v, address: 192.0.2.10/24}]
services:
  - {name: s, vip: v, port: 80, servers: [{name: w, address: 192.0.2.20}]}
stats: {user: ops, password: {env: HUNTER2}}
`

func state(t *testing.T, replace ...string) *State {
	t.Helper()
	s, problems := spec.Parse("spec.yaml", []byte(strings.NewReplacer(replace...).Replace(pair)), spec.Sources{LookupEnv: func(name string) (string, bool) { return strings.ToLower(name), true }})
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	r, err := release.Get("noble")
	if err != nil {
		t.Fatal(err)
	}
	st, err := FromSpec(s, r)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// running returns a node in the given state, as its agent reports it.
func running(st *State, i int) Node {
	inv := &inventory.Inventory{Release: "noble", Packages: map[string]string{}}
	for path, f := range st.Nodes[i].Files {
		inv.Files = append(inv.Files, inventory.File{Path: path, Mode: f.Mode, Owner: f.Owner, Digest: f.Digest, Shown: !f.Hidden, Content: f.Content})
	}
	for _, p := range st.Nodes[i].Packages {
		inv.Packages[p] = "1"
	}
	return FromInventory(st.Nodes[i].Name, inv)
}

func effects(d Difference) string {
	var words []string
	for _, e := range d.Effects {
		words = append(words, e.String())
	}
	return strings.Join(words, "; ")
}

func TestCompareSpecs(t *testing.T) {
	for name, c := range map[string]struct {
		replace []string
		files   []string
		effects string
		has     string // text in one of the diffs
	}{
		"nothing":    {nil, nil, "", ""},
		"a server":   {[]string{"192.0.2.20", "192.0.2.21"}, []string{"/etc/haproxy/haproxy.cfg"}, "reload of haproxy.service (/etc/haproxy/haproxy.cfg)", "+    server w 192.0.2.21:80"},
		"a password": {[]string{"HUNTER2", "HUNTER3"}, []string{"/etc/haproxy/haproxy.cfg"}, "reload of haproxy.service (/etc/haproxy/haproxy.cfg)", "***"},
		"a firewall": {[]string{"cluster: c", "cluster: c\nfirewall: true"}, nil, "package (nftables is installed)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			all := Compare(state(t), state(t, c.replace...))
			if len(all) != 2 || all[0].Node != "a" {
				t.Fatalf("differences %+v, want those of two nodes, a first", all)
			}
			var files []string
			text := ""
			for _, f := range all[0].Files {
				files = append(files, f.Path)
				text += f.Diff
			}
			if c.files != nil && !slices.Equal(files, c.files) {
				t.Errorf("files %q, want %q", files, c.files)
			}
			if got := effects(all[0]); !strings.HasPrefix(got, c.effects) || (c.effects == "") != all[0].Same() {
				t.Errorf("effects %q, want %q", got, c.effects)
			}
			if !strings.Contains(text, c.has) || strings.Contains(text, "hunter") || strings.Contains(text, "$5$") {
				t.Errorf("the diff lacks %q, or shows a secret:\n%s", c.has, text)
			}
		})
	}
}

func TestCompareRunningNodes(t *testing.T) {
	want := state(t)
	have := &State{Nodes: []Node{running(want, 0), {Name: "b", Err: errors.New("no answer")}}}
	all := Compare(have, want)
	if !all[0].Same() {
		t.Errorf("an equal node differs: %+v", all[0])
	}
	if all[1].Err != "no answer" || all[1].Same() {
		t.Errorf("a node without an answer: %+v", all[1])
	}
	n := have.Nodes[0]
	f := n.Files["/etc/haproxy/haproxy.cfg"]
	f.Mode = "0644"
	n.Files["/etc/haproxy/haproxy.cfg"] = f
	n.Files["/etc/haproxy/old.map"] = File{Digest: digest(nil), Hidden: true}
	delete(n.Files, "/etc/sysctl.d/60-hapair.conf")
	n.Packages = slices.DeleteFunc(n.Packages, func(p string) bool { return p == "socat" })
	n.Release = "jammy"
	have.Nodes[0] = n
	d := Compare(have, want)[0]
	got := map[string]FileDiff{}
	for _, f := range d.Files {
		got[f.Path] = f
	}
	if len(got) != 3 || got["/etc/haproxy/haproxy.cfg"].Meta != "0644 root:haproxy -> 0640 root:haproxy" ||
		got["/etc/haproxy/old.map"].Change != "removed" || !got["/etc/haproxy/old.map"].Hidden || got["/etc/sysctl.d/60-hapair.conf"].Change != "added" {
		t.Errorf("files %+v, want one changed, one removed and one added", d.Files)
	}
	if want := "new image (release jammy -> noble); package (socat is installed); reload of haproxy.service (/etc/haproxy/haproxy.cfg, /etc/haproxy/old.map); reload of systemd-sysctl.service (/etc/sysctl.d/60-hapair.conf)"; effects(d) != want {
		t.Errorf("effects %q, want %q", effects(d), want)
	}
}

func TestCompareOtherNodes(t *testing.T) {
	all := Compare(state(t), state(t, "name: b", "name: d"))
	var got []string
	for _, d := range all {
		got = append(got, d.Node)
	}
	if !slices.Equal(got, []string{"a", "d", "b"}) || effects(all[1]) != "new image (the node is new)" || effects(all[2]) != "new image (the node is removed from the spec)" {
		t.Errorf("differences %+v, want the nodes a, d and b", all)
	}
}
