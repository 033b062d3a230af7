package version

import "testing"

func TestDescribe(t *testing.T) {
	const revision = "3f2a9c4d1e5b60718293a4b5c6d7e8f901234567"
	for _, c := range []struct {
		commit   string
		settings map[string]string
		want     string
	}{
		{"", nil, Version},
		{"", map[string]string{"vcs.revision": revision, "vcs.modified": "false"}, Version + "+3f2a9c4d1e5b"},
		{"", map[string]string{"vcs.revision": revision, "vcs.modified": "true"}, Version + "+3f2a9c4d1e5b.dirty"},
		{"abc", map[string]string{"vcs.revision": revision, "vcs.modified": "true"}, Version + "+abc"},
	} {
		if got := describe(c.commit, c.settings); got != c.want {
			t.Errorf("%q, %v: %s, want %s", c.commit, c.settings, got, c.want)
		}
	}
}
