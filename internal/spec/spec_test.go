package spec

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/diag"
)

// wantPublicID is the id that is derived for VIP public of cluster test.
const wantPublicID = 124

const small = `apiVersion: hapair/v1
cluster: test
nodes:
  - {name: lb1, address: 192.0.2.1/24, interface: eth0}
  - {name: lb_2, address: [192.0.2.2/24, "2001:db8::2"], interface: eth1}
  - {name: lb3, address: 192.0.2.3/24, interface: eth0}
vips:
  - {name: public, address: 192.0.2.10/24}
services:
  - {name: web, vip: public, port: 80, servers: [{name: a, address: 198.51.100.1}, {name: b, address: 198.51.100.2, port: 8080}]}
`

// parse demands a spec without errors.
func parse(t *testing.T, text string, src Sources) *Spec {
	t.Helper()
	s, problems := Parse("spec.yaml", []byte(text), src)
	if problems.HasErrors() {
		t.Fatalf("unexpected problems:\n%v", problems)
	}
	return s
}

func TestDefaults(t *testing.T) {
	s := parse(t, small+"stats: {user: admin, password: {env: PW}}\n", Sources{})
	web := s.Services[0]
	for what, ok := range map[string]bool{
		"release":       s.Image.Release == "noble",
		"advert_int":    s.VRRP.AdvertInt == 250*time.Millisecond,
		"preempt":       !s.VRRP.Preempt,
		"transport":     s.VRRP.Transport == Unicast,
		"log":           s.Log == Log{Target: LocalLog, Facility: "local0"},
		"stats.port":    s.Stats.Port == 1936,
		"mode":          web.Mode == TCP,
		"balance":       web.Balance == "roundrobin",
		"server's port": web.Servers[0].Port == 80 && web.Servers[1].Port == 8080,
		"host name":     s.Nodes[0].Hostname == "lb1" && s.Nodes[1].Hostname == "lb-2",
		"check and tls": web.Check == nil && web.TLS == nil,
		"prefix":        s.Nodes[1].Addresses[1].Bits == 0 && s.Nodes[0].Addresses[0].Bits == 24,
		"router id":     s.VIPs[0].VirtualRouterID > 0 && s.VIPs[0].SecondRouterID == 0,
		"digest":        len(s.Digest) == 64,
	} {
		if !ok {
			t.Errorf("%s: not the default: %+v", what, s)
		}
	}
}

func TestLog(t *testing.T) {
	for text, want := range map[string]struct {
		target, facility, first, third string
	}{
		"/dev/log":                          {"/dev/log", "local0", "", ""},
		"node":                              {"node", "local0", "192.0.2.1:514", "192.0.2.3:514"},
		"{facility: daemon}":                {"/dev/log", "daemon", "", ""},
		"{}":                                {"/dev/log", "local0", "", ""},
		"{address: node, facility: local3}": {"node", "local3", "192.0.2.1:514", "192.0.2.3:514"},
		"198.51.100.5":                      {"198.51.100.5", "local0", "198.51.100.5:514", "198.51.100.5:514"},
		`{address: "198.51.100.5:1514"}`:    {"198.51.100.5:1514", "local0", "198.51.100.5:1514", "198.51.100.5:1514"},
		`{address: "[2001:db8::5]:1514"}`:   {"[2001:db8::5]:1514", "local0", "[2001:db8::5]:1514", "[2001:db8::5]:1514"},
		`{address: "2001:db8::5", facility: ntp}`: {"2001:db8::5", "ntp", "[2001:db8::5]:514", "[2001:db8::5]:514"},
	} {
		s := parse(t, small+"log: "+text+"\n", Sources{})
		var got []string
		for _, i := range []int{0, 2} {
			ap, udp := s.Log.AddrPort(&s.Nodes[i])
			if !udp {
				got = append(got, "")
				continue
			}
			got = append(got, ap.String())
		}
		if s.Log.Target != want.target || s.Log.Facility != want.facility || got[0] != want.first || got[1] != want.third {
			t.Errorf("%s: got %+v, %q", text, s.Log, got)
		}
	}
}

func TestQueries(t *testing.T) {
	s := parse(t, small, Sources{})
	v := s.VIP("public")
	if v == nil || s.VIP("other") != nil || s.Node("lb3") != &s.Nodes[2] || s.Node("x") != nil {
		t.Error("names are not found")
	}
	if v.InterfaceOn(&s.Nodes[1]) != "eth1" || (&VIP{Interface: "eth9"}).InterfaceOn(&s.Nodes[1]) != "eth9" {
		t.Error("the VIP is not on the node's own interface")
	}
	if peers := s.Peers(&s.Nodes[1]); len(peers) != 2 || peers[0].Name != "lb1" || peers[1].Name != "lb3" {
		t.Errorf("peers: %v", peers)
	}
	if a := s.Nodes[1].Addr(IPv6); a != netip.MustParseAddr("2001:db8::2") || s.Nodes[0].Addr(IPv6).IsValid() {
		t.Errorf("addresses of a family: %s", a)
	}
	if p := s.Nodes[1].Addresses[1].Prefix().String(); p != "2001:db8::2/128" {
		t.Errorf("the prefix that was left out is %s", p)
	}
	if v.Addr(IPv4) != netip.MustParseAddr("192.0.2.10") || v.Addr(IPv6).IsValid() {
		t.Error("the VIP's addresses of a family")
	}
}

func TestPriorities(t *testing.T) {
	s := parse(t, small, Sources{})
	for prefer, want := range map[string][]int{
		"": {254, 252, 250}, "lb1": {254, 252, 250}, "lb_2": {252, 254, 250}, "lb3": {252, 250, 254},
	} {
		var got []int
		for i := range s.Nodes {
			got = append(got, s.PriorityOf(&s.Nodes[i], &VIP{Prefer: prefer}))
		}
		if !slices.Equal(got, want) {
			t.Errorf("prefer %q: %v, want %v", prefer, got, want)
		}
	}
	if p := s.PriorityOf(&Node{Name: "other"}, &VIP{}); p != 0 {
		t.Errorf("a node of another cluster has the priority %d", p)
	}
}

// Any number of nodes has priorities of its own, from 1 to 254.
func TestPrioritiesOfManyNodes(t *testing.T) {
	for _, n := range []int{2, 127, 128, 254} {
		s := &Spec{Nodes: make([]Node, n)}
		for i := range s.Nodes {
			s.Nodes[i].Name = fmt.Sprint(i)
		}
		seen := map[int]bool{}
		for i := range s.Nodes {
			p := s.PriorityOf(&s.Nodes[i], &VIP{Prefer: "1"})
			if p < 1 || p > 254 || seen[p] {
				t.Fatalf("%d nodes: node %d has the priority %d", n, i, p)
			}
			seen[p] = true
		}
	}
}

func TestVRRPFamily(t *testing.T) {
	both := []Address{{Addr: netip.MustParseAddr("192.0.2.1")}, {Addr: netip.MustParseAddr("2001:db8::1")}}
	v4, v6 := both[:1], both[1:]
	swapped := []Address{both[1], both[0]}
	for name, c := range map[string]struct {
		nodes, vip []Address
		transport  Transport
		want       Family
	}{
		"IPv4":                        {v4, v4, Unicast, IPv4},
		"IPv6":                        {v6, v6, Unicast, IPv6},
		"IPv6 over IPv4 nodes":        {v4, v6, Unicast, 0},
		"IPv6 multicast":              {v4, v6, Multicast, IPv6},
		"IPv4 multicast over IPv6":    {v6, v4, Multicast, 0},
		"both over IPv4 nodes":        {v4, both, Unicast, IPv4},
		"both over IPv6 nodes":        {v6, both, Unicast, IPv6},
		"both over both":              {both, both, Unicast, IPv4},
		"both over both, IPv6 first":  {both, swapped, Unicast, IPv6},
		"both, multicast, IPv4 first": {v4, both, Multicast, IPv4},
	} {
		s := &Spec{Nodes: []Node{{Addresses: both}, {Addresses: c.nodes}}, VRRP: VRRP{Transport: c.transport}}
		if got, ok := s.VRRPFamily(&VIP{Addresses: c.vip}); got != c.want || ok != (c.want != 0) {
			t.Errorf("%s: %d, %t, want %d", name, got, ok, c.want)
		}
	}
}

func withVIPs(names ...string) *Spec {
	s := &Spec{Cluster: "test"}
	for _, name := range names {
		s.VIPs = append(s.VIPs, VIP{Name: name})
	}
	s.assignRouterIDs()
	return s
}

func TestRouterIDsStayTheSame(t *testing.T) {
	alone, more := withVIPs("public"), withVIPs("public", "a", "b", "c")
	if alone.VIPs[0].VirtualRouterID != more.VIPs[0].VirtualRouterID {
		t.Errorf("the id was %d, and is %d beside others", alone.VIPs[0].VirtualRouterID, more.VIPs[0].VirtualRouterID)
	}
	// Written down so that a change of the hash, which would make a running cluster's nodes disagree, is noticed.
	if id := alone.VIPs[0].VirtualRouterID; id != wantPublicID {
		t.Errorf("the id of public is %d, and was %d", id, wantPublicID)
	}
	other := &Spec{Cluster: "other", VIPs: []VIP{{Name: "public"}}}
	other.assignRouterIDs()
	if other.VIPs[0].VirtualRouterID == wantPublicID {
		t.Error("two clusters have one id")
	}
}

func TestRouterIDsNeverCollide(t *testing.T) {
	s := &Spec{Cluster: "test"}
	for i := range 255 {
		s.VIPs = append(s.VIPs, VIP{Name: fmt.Sprint("vip", i)})
	}
	s.VIPs[200].VirtualRouterID, s.VIPs[254].VirtualRouterID = 1, 255
	s.assignRouterIDs()
	seen := map[int]bool{}
	for _, v := range s.VIPs {
		if v.VirtualRouterID < 1 || v.VirtualRouterID > 255 || seen[v.VirtualRouterID] {
			t.Fatalf("%s has the id %d", v.Name, v.VirtualRouterID)
		}
		seen[v.VirtualRouterID] = true
	}
	if s.VIPs[200].VirtualRouterID != 1 || s.VIPs[254].VirtualRouterID != 255 {
		t.Error("an explicit id was changed")
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	src := Sources{LookupEnv: func(string) (string, bool) { return "hunter2", true }}
	s := parse(t, small+"stats: {user: admin, password: {env: PW}}\n", src)
	if s.Stats.Password.Reveal() != "hunter2" || s.Stats.Password.Missing() {
		t.Fatal("the secret is not there")
	}
	asJSON, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(s.Stats)
	if err != nil {
		t.Fatal(err)
	}
	printed := fmt.Sprintf("%v %+v %#v %s %q %s %s %v", s.Stats, s.Stats, s.Stats, s.Stats.Password, s.Stats.Password, asJSON, asYAML, *s.Stats)
	if strings.Contains(printed, "hunter2") {
		t.Errorf("the secret is printed: %s", printed)
	}
}

func TestSecretSources(t *testing.T) {
	fileSpec, envSpec := small+"stats: {user: admin, password: {file: pw}}\n", small+"stats: {user: admin, password: {env: PW}}\n"
	file := func(content string, err error) Sources {
		return Sources{
			ReadFile: func(string) ([]byte, error) { return []byte(content), err },
			Mode:     func(string) (fs.FileMode, error) { return 0o640, nil },
		}
	}
	env := func(value string) Sources {
		return Sources{LookupEnv: func(string) (string, bool) { return value, true }}
	}
	readable := file("hunter2", nil)
	readable.Mode = func(string) (fs.FileMode, error) { return 0o644, nil }
	for name, c := range map[string]struct {
		text    string
		src     Sources
		value   string
		problem string // of stats.password; severity and message
	}{
		"file":              {fileSpec, file("hunter2\n", nil), "hunter2", ""},
		"file of Windows":   {fileSpec, file("hunter2\r\n", nil), "hunter2", ""},
		"spaces are kept":   {fileSpec, file(" hunter 2 \n", nil), " hunter 2 ", ""},
		"empty file":        {fileSpec, file("\n", nil), "", `error: the file "pw" is empty`},
		"two lines":         {fileSpec, file("hunter2\nhunter3\n", nil), "", `error: the file "pw" holds a line break or a control character`},
		"too long":          {fileSpec, file(strings.Repeat("x", 257), nil), "", `error: the file "pw" holds more than 256 bytes`},
		"not there":         {fileSpec, file("", fs.ErrNotExist), "", `warning: the file "pw" does not exist`},
		"not readable":      {fileSpec, file("", fs.ErrPermission), "", "error: cannot read the file: permission denied"},
		"world-readable":    {fileSpec, readable, "hunter2", `warning: every user of this machine can read "pw"`},
		"no files at all":   {fileSpec, Sources{}, "", "warning: no file can be read here"},
		"variable":          {envSpec, env("hunter2"), "hunter2", ""},
		"empty variable":    {envSpec, env(""), "", "error: the environment variable PW is empty"},
		"unset variable":    {envSpec, Sources{}, "", "warning: the environment variable PW is not set"},
		"variable of lines": {envSpec, env("a\nb"), "", "error: the environment variable PW holds a line break or a control character"},
	} {
		t.Run(name, func(t *testing.T) {
			s, problems := Parse("spec.yaml", []byte(c.text), c.src)
			var got []string
			for _, p := range problems {
				if strings.HasPrefix(p.Path, "stats.password") {
					got = append(got, string(p.Severity)+": "+p.Message)
				}
			}
			if strings.Join(got, "\n") != c.problem {
				t.Errorf("got %q, want %q", got, c.problem)
			}
			if v := s.Stats.Password.Reveal(); v != c.value || s.Stats.Password.Missing() != (v == "") {
				t.Errorf("got the value %q, want %q", v, c.value)
			}
			if strings.Contains(problems.Error(), "hunter") {
				t.Errorf("the secret is told: %v", problems)
			}
		})
	}
}

func TestOwnConfig(t *testing.T) {
	text := small[:strings.Index(small, "services:")] + "haproxy: {config: own.cfg}\n"
	for content, want := range map[string]string{
		"global\n": "", "": "the file is empty", " \n": "the file is empty", "a\x00b": "the file holds a NUL byte",
		strings.Repeat("#", maxFile+1): "the file has more than 1 MiB",
	} {
		s, problems := Parse("spec.yaml", []byte(text), Sources{ReadFile: func(string) ([]byte, error) { return []byte(content), nil }})
		got := problems.At("haproxy.config")
		if want == "" {
			if len(got) > 0 || string(s.HAProxy.ConfigContent) != content {
				t.Errorf("%q: %v, %q", content, got, s.HAProxy.ConfigContent)
			}
		} else if len(got) != 1 || got[0].Message != want {
			t.Errorf("got %v, want %q", got, want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "cluster.yaml"), small+"stats: {user: admin, password: {file: secrets/stats}}\n", 0o644)
	write(t, filepath.Join(dir, "secrets", "stats"), "hunter2\n", 0o600)
	s, problems := Load(filepath.Join(dir, "cluster.yaml"))
	if problems.HasErrors() || s.Stats.Password.Reveal() != "hunter2" {
		t.Errorf("got %v", problems)
	}
	if _, problems := Load(filepath.Join(dir, "missing.yaml")); !problems.HasErrors() || !strings.Contains(problems.Error(), "cannot read the spec") {
		t.Errorf("got %v", problems)
	}
	write(t, filepath.Join(dir, "large.yaml"), strings.Repeat("# large\n", maxFile/8+1), 0o644)
	if _, problems := Load(filepath.Join(dir, "large.yaml")); !problems.HasErrors() || !strings.Contains(problems.Error(), "1048576 are the most") {
		t.Errorf("got %v", problems)
	}
}

func write(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// Where a spec has no errors, nothing in it can bring a line, a word or a path of its own into a generated file.
func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, examples...) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, text, isArchive := strings.Cut(string(data), "-- spec.yaml --\n")
		if !isArchive {
			text = string(data)
		}
		text, _, _ = strings.Cut(text, "-- problems --\n")
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, problems := Parse("spec.yaml", data, Sources{})
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.Message == "" || (p.Severity != diag.Error && p.Severity != diag.Warning) {
				t.Fatalf("a problem without its place: %+v", p)
			}
		}
		if problems.HasErrors() {
			return
		}
		for _, word := range wordsOf(s) {
			if word == "" || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"'\{}#`, r) }) {
				t.Fatalf("%q could change the meaning of a file", word)
			}
		}
		for _, v := range s.VIPs {
			if _, ok := s.VRRPFamily(&v); !ok || v.VirtualRouterID < 1 || v.VirtualRouterID > 255 {
				t.Fatalf("no instance can be made of %+v", v)
			}
		}
	})
}

// wordsOf are all values of a spec that are written into files as one word.
func wordsOf(s *Spec) []string {
	words := []string{s.Cluster, s.Image.Release, s.Log.Target, s.Log.Facility, string(s.VRRP.Transport)}
	words = append(words, s.Image.Packages...)
	for _, n := range s.Nodes {
		words = append(words, n.Name, n.Hostname, n.Interface)
	}
	for _, v := range s.VIPs {
		words = append(words, v.Name, v.InterfaceOn(&s.Nodes[0]))
	}
	for _, svc := range s.Services {
		words = append(words, svc.Name, svc.VIP, string(svc.Mode))
		words = append(words, strings.Split(svc.Balance, " ")...)
		if svc.TLS != nil {
			words = append(words, svc.TLS.Certificate)
		}
		if svc.Check != nil && svc.Check.HTTP != "" {
			words = append(words, strings.SplitN(svc.Check.HTTP, " ", 2)...)
		}
		for _, server := range svc.Servers {
			words = append(words, server.Name, server.Address.String())
		}
	}
	for _, u := range s.Access.Users {
		words = append(words, u.Name)
	}
	if s.Stats != nil && s.Stats.User != "" {
		words = append(words, s.Stats.User)
	}
	return words
}
