package cloudinit

import (
	"testing"

	"gopkg.in/yaml.v3"
)

// FuzzMerge checks that cloud_config cannot change hapair's own keys: either they stay the same, or the spec is refused.
func FuzzMerge(f *testing.F) {
	for _, seed := range []string{
		"timezone: UTC", "hostname: x", "users: [ops]", "runcmd: [[a, b]]", "write_files: [{path: /etc/../etc/haproxy/haproxy.cfg}]",
		"packages: [jq, [curl, '8']]", "bootcmd: x", "users: {a: b}", "ssh_pwauth: [", "? [a]\n: b", "a: =", "write_files: [[]]", "users: [default, null]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var more map[string]any
		if yaml.Unmarshal([]byte(text), &more) != nil {
			return
		}
		for _, image := range []Image{Golden, Stock} {
			o := options(t, image, NoCloud)
			r := nodeRecipe()
			if image == Stock {
				r = stockRecipe()
			}
			before := read(t, r, o)
			o.CloudConfig = more
			data, err := newDocument(r, o, plainFiles)
			if err != nil {
				continue
			}
			var after map[string]any
			if err := yaml.Unmarshal(data, &after); err != nil {
				t.Fatalf("%v:\n%s", err, data)
			}
			for key, value := range before {
				checkKept(t, key, value, after[key], more[key] != nil)
			}
		}
	})
}
