package remote

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var node = Host{"lb1", "192.0.2.11"}

// fakeSSH puts a shell script in the place of the ssh program. A unit test must not need a network. The tests of whole
// clusters use the real one.
func fakeSSH(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// TestRunPassesData checks that data goes over standard input and not through arguments, which other users can see.
func TestRunPassesData(t *testing.T) {
	fakeSSH(t, `printf '{"args": "%s", "stdin": "%s"}' "$*" "$(cat)"`)
	l := &Login{User: "ops", Config: "/c"}
	var got struct{ Args, Stdin string }
	if err := l.Run(t.Context(), node, strings.NewReader("secret"), &got, "stage", "--json"); err != nil {
		t.Fatal(err)
	}
	if want := "-o BatchMode=yes -o ConnectTimeout=10 -F /c -l ops -- 192.0.2.11 sudo -n ha-agent stage --json"; got.Args != want {
		t.Errorf("ssh was run with %q, want %q", got.Args, want)
	}
	if got.Stdin != "secret" {
		t.Errorf("the node got %q, want the data", got.Stdin)
	}
}

func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		want   []string
		err    string // part of it
	}{
		"lines":               {`printf '{"a":1}\n\n{"b":2}\n'`, []string{`{"a":1}`, `{"b":2}`}, ""},
		"in pieces":           {`printf '{"a"'; sleep 0.05; printf ':1}\n'`, []string{`{"a":1}`}, ""},
		"a negative result":   {`printf '{"a":1}\n'; exit 1`, []string{`{"a":1}`}, ""},
		"a negative silence":  {`exit 1`, nil, "cannot run ha-agent follow on lb1 (192.0.2.11): exit status 1"},
		"a failure":           {`printf '{"a":1}\n'; echo 'ha-agent: cannot go on' >&2; exit 3`, []string{`{"a":1}`}, "cannot run ha-agent follow on lb1 (192.0.2.11): cannot go on"},
		"cut off":             {`printf '{"a":1}\n{"b"'; exit 255`, []string{`{"a":1}`}, "cannot reach lb1 (192.0.2.11): ssh failed without a message"},
		"an incomplete line":  {`printf '{"a":1}\n{"b"'`, []string{`{"a":1}`}, "unexpected EOF"},
		"not JSON":            {`echo fine`, nil, "a line is not JSON"},
		"an error of each":    {`printf '{"stop":1}\n'; exec sleep 60`, []string{`{"stop":1}`}, "stopped"},
		"a line without end":  {`exec yes '{' | tr -d '\n'`, nil, "it is longer than 16 MiB"},
		"no answer in time":   {`exec sleep 60`, nil, "cannot reach lb1 (192.0.2.11): no answer within 0.2 s"},
		"lines without limit": {`exec yes '{"endless":1}'`, nil, "it is longer than 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			fakeSSH(t, c.script)
			l := &Login{}
			if strings.Contains(c.err, "within 0.2 s") {
				l.Timeout = 200 * time.Millisecond
			}
			var got []string
			err := l.Lines(t.Context(), node, nil, func(line json.RawMessage) error {
				if string(line) != `{"endless":1}` {
					got = append(got, string(line))
				}
				if strings.Contains(string(line), "stop") {
					return errors.New("stopped")
				}
				return nil
			}, "follow")
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
