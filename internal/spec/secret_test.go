package spec

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

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
		"two lines":         {fileSpec, file("hunter2\nhunter3\n", nil), "", `error: the file "pw" contains a line break or a control character`},
		"too long":          {fileSpec, file(strings.Repeat("x", 257), nil), "", `error: the file "pw" has more than 256 bytes`},
		"not there":         {fileSpec, file("", fs.ErrNotExist), "", `warning: the file "pw" does not exist`},
		"not readable":      {fileSpec, file("", fs.ErrPermission), "", "error: cannot read the file: permission denied"},
		"world-readable":    {fileSpec, readable, "hunter2", `warning: every user of this machine can read "pw"`},
		"no files at all":   {fileSpec, Sources{}, "", "warning: files cannot be read here"},
		"variable":          {envSpec, env("hunter2"), "hunter2", ""},
		"empty variable":    {envSpec, env(""), "", "error: the environment variable PW is empty"},
		"unset variable":    {envSpec, Sources{}, "", "warning: the environment variable PW is not set"},
		"variable of lines": {envSpec, env("a\nb"), "", "error: the environment variable PW contains a line break or a control character"},
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
		"global\n": "", "": "the file is empty", " \n": "the file is empty", "a\x00b": "the file contains a NUL byte",
		strings.Repeat("#", maxFile+1): "the file has 2097153 bytes, which is more than the limit of 2 MiB",
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
