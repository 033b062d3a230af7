package release

import (
	"strings"
	"testing"
)

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]Version{
		"2.8.16":                {2, 8, 16},
		"2.6.12-1+deb12u2":      {2, 6, 12},
		"26.1":                  {26, 1, 0},
		"249":                   {249, 0, 0},
		"3.0.11-1+deb13u1":      {3, 0, 11},
		"2.2.8-1build2":         {2, 2, 8},
		"257.8-1~deb13u2":       {257, 8, 0},
		"2.4.30-0ubuntu0.22.04": {2, 4, 30},
		"3.2-dev5":              {3, 2, 0},
	} {
		got, err := ParseVersion(text)
		if err != nil || got != want {
			t.Errorf("ParseVersion(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "v2.8", "unknown", "2..1", ".5", "99999999999999999999.1"} {
		if got, err := ParseVersion(text); err == nil || !strings.Contains(err.Error(), "cannot parse the version") {
			t.Errorf("ParseVersion(%q) = %v, %v; want an error", text, got, err)
		}
	}
}

func TestAtLeast(t *testing.T) {
	v := Version{2, 2, 8}
	for w, want := range map[Version]bool{
		{2, 2, 8}: true, {2, 2, 7}: true, {2, 1, 99}: true, {1, 9, 9}: true,
		{2, 2, 9}: false, {2, 3, 0}: false, {3, 0, 0}: false,
	} {
		if got := v.AtLeast(w[0], w[1], w[2]); got != want {
			t.Errorf("%v at least %v: %t, want %t", v, w, got, want)
		}
	}
}

func TestGet(t *testing.T) {
	for _, name := range Names() {
		if r, err := Get(name); err != nil || r.Name != name {
			t.Errorf("Get(%q) = %v, %v", name, r, err)
		}
	}
	if _, err := Get(Default); err != nil {
		t.Errorf("the default is not a release: %v", err)
	}
	_, err := Get("focal")
	if err == nil || !strings.Contains(err.Error(), `cannot find release "focal": must be one of jammy, noble, resolute, bookworm, trixie`) {
		t.Errorf("got %v", err)
	}
}

// All of these values are used for generated files, so a new release must define them.
func TestAllIsComplete(t *testing.T) {
	for _, r := range All() {
		for what, missing := range map[string]bool{
			"title": r.Title == "", "distribution": r.Distribution != "ubuntu" && r.Distribution != "debian",
			"haproxy": r.HAProxy[0] == 0, "keepalived": r.Keepalived[0] == 0, "cloud-init": r.CloudInit[0] == 0,
			"systemd": r.Systemd[0] == 0, "archive": r.Distribution != "debian" && !strings.HasPrefix(r.Archive, "http"), "components": len(r.Components) == 0,
			"keyring": !strings.HasPrefix(r.Keyring, "/") || r.KeyringPackage == "", "kernel": r.Kernel == "",
			"upstream": !strings.HasPrefix(r.Upstream, "http"), "snapshots": !strings.HasPrefix(r.Snapshots, "http"),
			"network file": strings.Count(r.NetworkFile, "%s") != 1,
		} {
			if missing {
				t.Errorf("%s: the %s is missing", r.Name, what)
			}
		}
	}
}
