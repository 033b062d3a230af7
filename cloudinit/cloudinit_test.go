package cloudinit

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/recipe"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txtar")

// nodeRecipe returns the recipe of what a node has in addition to its image.
func nodeRecipe() recipe.Recipe {
	return recipe.Recipe{
		Release:  "trixie",
		Hostname: "controller-1",
		Files: []recipe.File{
			file("/etc/haproxy/haproxy.cfg", 0o640, "haproxy", "haproxy", "global\n    log /dev/log local0\n\nfrontend keystone\n    bind 192.168.1.32:5000\n"),
			file("/etc/keepalived/keepalived.conf", 0o600, "root", "keepalived", "vrrp_instance VI_public {\n\tstate BACKUP\n}\n"),
		},
		Logins:  []recipe.Login{{Name: "ops", SSHAuthorizedKeys: []string{"ssh-ed25519 AAAAC3Nz ops@example"}, Sudo: true}},
		Network: &recipe.Network{Config: map[string]any{"version": 2, "ethernets": map[string]any{"eth3": map[string]any{"addresses": []any{"192.168.56.101/24"}}}}},
	}
}

// stockRecipe returns the recipe of everything on a node.
func stockRecipe() recipe.Recipe {
	r := nodeRecipe()
	r.Packages = []string{"haproxy", "keepalived"}
	r.Hold = []string{"haproxy", "keepalived"}
	r.Users = []recipe.User{{Name: "hapair-check", Home: "/nonexistent"}}
	r.Agent = "/usr/bin/ha-agent"
	sysctl := file("/etc/sysctl.d/60-hapair.conf", 0o644, "root", "", "# Bind addresses that another node holds.\nnet.ipv4.ip_nonlocal_bind = 1\n-net.ipv6.ip_nonlocal_bind=1\n")
	sysctl.Early = true
	r.Files = append(r.Files, sysctl,
		file("/usr/lib/sysusers.d/hapair.conf", 0o644, "root", "", "u hapair-check - \"haproxy's check\" /nonexistent\n"),
		file("/usr/lib/tmpfiles.d/hapair.conf", 0o644, "root", "", "d /run/ha-agent 0755 root root\n"),
		file("/usr/lib/systemd/networkd.conf.d/hapair.conf", 0o644, "root", "", "[Network]\nManageForeignRoutes=no\n"),
		file("/usr/lib/systemd/system/ha-agent.service", 0o644, "root", "", "[Service]\nExecStart=/usr/bin/ha-agent run\n"))
	r.Units = []recipe.Unit{
		{Name: "haproxy.service", State: "enabled"}, {Name: "keepalived.service", State: "enabled"},
		{Name: "ha-agent.service", State: "enabled"}, {Name: "noisy.timer", State: "masked"}, {Name: "other.service", State: "disabled"},
	}
	return r
}

func file(path string, mode fs.FileMode, group, pkg, content string) recipe.File {
	return recipe.File{Path: path, Mode: mode, Owner: "root", Group: group, Content: []byte(content), Package: pkg}
}

func options(t *testing.T, image Image, cloud string) Options {
	t.Helper()
	c, err := GetCloud(cloud)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Image: image, Cloud: c}
	if image == Stock {
		o.Agent = Agent{SHA256: strings.Repeat("ab", 32), Package: []byte("!<arch>\n package")}
	}
	return o
}

// TestGolden runs every testdata/*.txtar. The part "options" has image, cloud and url, "cloud_config" the user's own
// cloud-config. The other parts are the expected output.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("found no cases: %v", err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want := *archive
			want.Files = nil
			got := *archive
			got.Files = nil
			var input struct{ Image, Cloud, URL string }
			var more map[string]any
			for _, f := range archive.Files {
				switch f.Name {
				case "options":
					decode(t, f.Data, &input)
				case "cloud_config":
					decode(t, f.Data, &more)
				default:
					want.Files = append(want.Files, f)
					continue
				}
				got.Files = append(got.Files, f)
			}
			inputs := len(got.Files)
			o := options(t, Image(input.Image), input.Cloud)
			if input.URL != "" {
				o.Agent.Package, o.Agent.URL = nil, input.URL
			}
			o.CloudConfig = more
			got.Files = append(got.Files, generated(o)...)
			if *update {
				if err := os.WriteFile(name, txtar.Format(&got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			got.Files = got.Files[inputs:]
			if diff := cmp.Diff(string(txtar.Format(&want)), string(txtar.Format(&got))); diff != "" {
				t.Errorf("differs from %s (-want +got); go test -update rewrites it:\n%s", name, diff)
			}
		})
	}
}

func generated(o Options) []txtar.File {
	r := nodeRecipe()
	if o.Image == Stock {
		r = stockRecipe()
	}
	s, err := Generate(r, o)
	if err != nil {
		return []txtar.File{{Name: "error", Data: []byte(err.Error() + "\n")}}
	}
	var files []txtar.File
	for _, f := range s.Files() {
		if f.Name != agentFile {
			files = append(files, txtar.File{Name: f.Name, Data: f.Content})
		}
	}
	if len(s.Notes) > 0 {
		files = append(files, txtar.File{Name: "notes", Data: []byte(strings.Join(s.Notes, "\n") + "\n")})
	}
	return files
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := yaml.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func TestImageRecipeIsRefused(t *testing.T) {
	if _, err := Generate(recipe.Recipe{}, options(t, Golden, NoCloud)); err == nil {
		t.Error("a recipe without a host name was accepted")
	}
}

func TestStockNeedsTheAgent(t *testing.T) {
	for name, agent := range map[string]Agent{"nothing": {}, "no digest": {URL: "https://example.org/ha-agent"}, "only a digest": {SHA256: strings.Repeat("ab", 32)}} {
		o := options(t, Stock, NoCloud)
		o.Agent = agent
		if _, err := Generate(stockRecipe(), o); err == nil || !strings.Contains(err.Error(), "/usr/bin/ha-agent") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInstanceID(t *testing.T) {
	id := func(change func(*recipe.Recipe, *Options)) string {
		r, o := stockRecipe(), options(t, Stock, NoCloud)
		change(&r, &o)
		s, err := Generate(r, o)
		if err != nil {
			t.Fatal(err)
		}
		var meta metaData
		decode(t, s.MetaData, &meta)
		return meta.InstanceID
	}
	first := id(func(*recipe.Recipe, *Options) {})
	if again := id(func(*recipe.Recipe, *Options) {}); again != first {
		t.Errorf("equal input gives %s and %s", first, again)
	}
	for what, change := range map[string]func(*recipe.Recipe, *Options){
		"a file":    func(r *recipe.Recipe, _ *Options) { r.Files[0].Content = append(r.Files[0].Content, '\n') },
		"a login":   func(r *recipe.Recipe, _ *Options) { r.Logins = nil },
		"network":   func(r *recipe.Recipe, _ *Options) { r.Network.Config["version"] = 1 },
		"the agent": func(_ *recipe.Recipe, o *Options) { o.Agent.SHA256 = strings.Repeat("cd", 32) },
		"more":      func(_ *recipe.Recipe, o *Options) { o.CloudConfig = map[string]any{"timezone": "UTC"} },
	} {
		if id(change) == first {
			t.Errorf("%s changed but the instance-id did not: cloud-init would not apply the change", what)
		}
	}
}

func TestMarshalledText(t *testing.T) {
	// Content must be unchanged after YAML encoding and decoding.
	for _, content := range []string{"", "\n", "a", "a\n", "a\n\n", " a\nb\n", "\ta\n", "a\n\tb \n", "a\r\nb", "\x00\xff", "=", "<<", "0640", "on", "1:30", "# a", "- a", "{}", "é\u2028\u0085", strings.Repeat("x", 3000) + "\n"} {
		for name, encode := range map[string]fileEncoding{"plain": plainFiles, "packed": packedFiles} {
			r := recipe.Recipe{Hostname: "n", Files: []recipe.File{file("/f", 0o640, "root", "", content)}}
			data, err := newDocument(r, options(t, Golden, NoCloud), encode)
			if err != nil {
				t.Fatal(err)
			}
			var doc struct {
				WriteFiles []writeFile `yaml:"write_files"`
			}
			decode(t, data, &doc)
			if got, err := unpack(doc.WriteFiles[0]); err != nil || got != content {
				t.Errorf("%s: %q was decoded as %q (%v)", name, content, got, err)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	big := func(n int) recipe.Recipe {
		r := nodeRecipe()
		r.Files = append(r.Files, file("/big", 0o644, "root", "", incompressible(n)))
		return r
	}
	// The largest random content that fits, found by bisection, must be near the cloud's limit for every kind of
	// compression.
	for _, c := range Clouds()[1:] {
		o := options(t, Golden, c.Name)
		if _, err := Generate(big(c.limit/8), o); err != nil {
			t.Errorf("%s: an eighth of the limit does not fit: %v", c.Name, err)
		}
		_, err := Generate(big(c.limit*2), o)
		var tooLarge *SizeError
		if !errors.As(err, &tooLarge) {
			t.Errorf("%s: twice the limit gives %v", c.Name, err)
			continue
		}
		if tooLarge.Limit != c.limit || tooLarge.Size <= c.limit || !strings.Contains(err.Error(), c.Name) {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	repetitive := nodeRecipe()
	repetitive.Files = append(repetitive.Files, file("/big", 0o644, "root", "", strings.Repeat("server web 10.0.0.1:80 check\n", 20000)))
	for _, c := range Clouds()[1:] {
		s, err := Generate(repetitive, options(t, Golden, c.Name))
		if err != nil {
			t.Errorf("%s: content that compresses well does not fit: %v", c.Name, err)
			continue
		}
		if s.Gzip != c.gzip || c.size(s.UserData) > c.limit {
			t.Errorf("%s: gzip %v, %d bytes", c.Name, s.Gzip, len(s.UserData))
		}
	}
}
