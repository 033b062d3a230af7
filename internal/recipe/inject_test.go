package recipe_test

import (
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/wellknown"
)

// injection is a text of a spec that is written to a node's files, with a valid value.
type injection struct{ field, good string }

var injectable = []injection{
	{"cluster", "c"}, {"node", "n"}, {"interface", "eth0"}, {"vip", "v"}, {"vip interface", "eth1"},
	{"stats user", "u"}, {"log address", "192.0.2.9"}, {"facility", "local0"}, {"service", "s"}, {"balance", "roundrobin"},
	{"check", "GET /"}, {"certificate", "/etc/haproxy/a.pem"}, {"server", "w"}, {"login", "ops"}, {"ssh key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIcvOWHm2ObLmJ1cGOsfuR7eGdNcp6k5QZ4jXkm2V2Pp ops"},
	{"package", "tcpdump"}, {"release", "noble"},
	{"group", "g"}, {"script", "t"}, {"script command", "/usr/bin/t --to 192.0.2.9"}, {"script user", "daemon"},
	{"command", "/usr/bin/c --id 7"}, {"command user", "daemon"}, {"route interface", "eth0"},
}

// injected returns a spec in YAML with a value for each injectable field, quoted if necessary.
func injected(t testing.TB, value func(field string) string) []byte {
	t.Helper()
	type m = map[string]any
	v := value
	out, err := yaml.Marshal(m{
		"apiVersion": "hapair/v1", "cluster": v("cluster"), "firewall": true,
		"image": m{"release": v("release"), "packages": []string{v("package")}},
		"nodes": []m{
			{"name": v("node"), "address": "192.0.2.1/24", "interface": v("interface")},
			{"name": "other", "address": "192.0.2.2/24", "interface": "eth0"},
		},
		"vips": []m{
			{"name": v("vip"), "address": "198.51.100.1/24", "interface": v("vip interface"), "prefer": v("node"), "group": v("group"),
				"routes":        []m{{"to": "10.0.0.0/8", "interface": v("route interface")}},
				"track_scripts": []m{{"name": v("script"), "command": v("script command"), "user": v("script user")}},
				"on_change":     m{"command": v("command"), "user": v("command user")}},
			{"name": "second", "address": "198.51.100.2/24", "interface": "eth1", "prefer": v("node"), "group": v("group")},
		},
		"stats":  m{"user": v("stats user"), "password": m{"file": "p"}, "allow": []string{"10.0.0.0/8"}},
		"log":    m{"address": v("log address"), "facility": v("facility")},
		"access": m{"users": []m{{"name": v("login"), "ssh_authorized_keys": []string{v("ssh key")}}}},
		"services": []m{{
			"name": v("service"), "vip": v("vip"), "port": 443, "mode": "http", "balance": v("balance"), "check": m{"http": v("check")},
			"tls": m{"certificate": v("certificate")}, "servers": []m{{"name": v("server"), "address": "192.0.2.20"}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// FuzzNoValueAddsALine puts any text into any field. If validation accepts it, every line of every file must begin in the
// same way as with a good value.
func FuzzNoValueAddsALine(f *testing.F) {
	for i := range injectable {
		for _, text := range []string{"a\nuser root", "a\r\nb", "a # b", "a\"b", "a b", "a'", "a\\", "a}", "$HOME", "${A}", "@x", "!x", "\u2028x", "\x00", "a,b", "../a", "%[env(A)]", "*"} {
			f.Add(uint8(i), text)
			f.Add(uint8(i), injectable[i].good+text)
		}
	}
	good := func(field string) string {
		i := slices.IndexFunc(injectable, func(i injection) bool { return i.field == field })
		return injectable[i].good
	}
	s, problems := parseInjected(injected(f, good))
	if problems {
		f.Fatal("the good values have problems")
	}
	want := render(f, s)
	f.Fuzz(func(t *testing.T, index uint8, text string) {
		at := injectable[int(index)%len(injectable)]
		s, problems := parseInjected(injected(t, func(field string) string {
			if field == at.field {
				return text
			}
			return good(field)
		}))
		if problems {
			return
		}
		if strings.HasSuffix(at.field, "interface") && (text == good("interface") || text == good("vip interface")) {
			return // with one interface for both, fewer lines are needed
		}
		// A line may begin with the value itself, or with the name of the track file that contains an instance's name.
		sameLines(t, at.field, want, render(t, s), func(word string) string {
			for _, before := range []string{"", "holder_VI_"} {
				if word == before+text {
					return before + at.good
				}
			}
			return word
		})
	})
}

func parseInjected(data []byte) (s *spec.Spec, problems bool) {
	s, p := spec.Parse("spec.yaml", data, spec.Sources{ReadFile: readFile})
	return s, p.HasErrors()
}

// render returns the files of the first node, in a fixed order, because names can depend on the spec.
func render(t testing.TB, s *spec.Spec) []recipe.File {
	t.Helper()
	r, err := release.Get(s.Image.Release)
	if err != nil {
		t.Fatal(err)
	}
	image, err := recipe.Image(s, r)
	if err != nil {
		t.Fatal(err)
	}
	node, err := recipe.Node(s, &s.Nodes[0], r)
	if err != nil {
		t.Fatal(err)
	}
	return recipe.Merge(image, node).Files
}

// sameLines compares the first words of lines. agent.yaml is written by a YAML library, which may quote and fold text, so it
// must only be readable.
func sameLines(t *testing.T, field string, want, got []recipe.File, restore func(word string) string) {
	t.Helper()
	byPath := map[string]string{}
	for _, f := range got {
		byPath[f.Path] = string(f.Content)
	}
	for _, f := range want {
		content, ok := byPath[f.Path]
		if !ok {
			if field == "vip interface" || field == "log address" || field == "interface" {
				continue // these fields decide which files exist
			}
			t.Errorf("with %s, the file %s is missing", field, f.Path)
		}
		if f.Path == wellknown.AgentConfig {
			if _, problems := config.Parse(f.Path, []byte(content)); problems.HasErrors() {
				t.Errorf("with %s, agent.yaml has problems: %v", field, problems)
			}
			continue
		}
		if a, b := beginnings(string(f.Content), restore), beginnings(content, restore); a != b && field != "release" && field != "log address" {
			t.Errorf("%s changes the lines of %s:\n%s\nwant\n%s", field, f.Path, b, a)
		}
	}
}

// beginnings returns the first words of all lines, after restore: a line may begin with the value itself.
func beginnings(text string, restore func(word string) string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 {
			out.WriteString(restore(words[0]))
		}
		out.WriteByte('\n')
	}
	return out.String()
}
