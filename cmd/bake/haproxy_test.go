package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/labtest"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/tool"
)

// sandboxed runs a real haproxy in a sandbox, to which it takes the files of the folder that it is asked about.
func sandboxed(t *testing.T, sb *lab.Sandbox) tool.Runner {
	return func(ctx context.Context, name string, args ...string) (tool.Result, error) {
		if path := args[len(args)-1]; strings.HasPrefix(path, "/") {
			files, err := filepath.Glob(filepath.Dir(path) + "/*")
			if err != nil {
				return tool.Result{}, err
			}
			for _, f := range files {
				data, err := os.ReadFile(f)
				if err != nil {
					return tool.Result{}, err
				}
				if err := sb.WriteFile(ctx, f, 0o600, "", data); err != nil {
					return tool.Result{}, err
				}
			}
		}
		out, status, err := sb.Run(ctx, name, args...)
		return tool.Result{Status: status, Output: out}, err
	}
}

const judgedSpec = `apiVersion: hapair/v1
cluster: test
image: {release: trixie}
nodes:
  - {name: lb1, address: 192.0.2.1/24, interface: eth0}
  - {name: lb2, address: 192.0.2.2/24, interface: eth0}
vips: [{name: public, address: 192.0.2.10/24}]
stats: {user: admin, password: {env: PW}}
services:
  - name: web
    vip: public
    port: 443
    mode: http
    tls: {certificate: /etc/haproxy/certs/web.pem}
    servers: [{name: a, address: 198.51.100.1}]
`

func judged(t *testing.T, text string) *spec.Spec {
	t.Helper()
	s, problems := spec.Parse("spec.yaml", []byte(text), spec.Sources{
		LookupEnv: func(string) (string, bool) { return "hunter2", true },
		ReadFile:  func(string) ([]byte, error) { return []byte("global\n  colour blue\n"), nil },
	})
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return s
}

func TestJudgeHAProxy(t *testing.T) {
	run := sandboxed(t, labtest.Sandbox(t, "trixie"))
	for name, c := range map[string]struct {
		text     string
		severity diag.Severity
		message  string
		source   string
	}{
		"good":             {judgedSpec, "", "", ""},
		"bad global":       {judgedSpec + "haproxy: {global: colour blue}\n", diag.Error, "unknown keyword '***' in 'global' section", ""},
		"other release":    {strings.Replace(judgedSpec, "trixie", "noble", 1) + "haproxy: {global: colour blue}\n", diag.Warning, "unknown keyword '***'", ""},
		"bad expression":   {strings.Replace(judgedSpec, "mode: http", "mode: http\n    balance: hash nothing", 1), diag.Error, "balance", ""},
		"a file of theirs": {judgedSpec + "haproxy: {config: own.cfg}\n", diag.Warning, "unknown keyword '***'", ""},
	} {
		t.Run(name, func(t *testing.T) {
			problems, err := judgeHAProxy(t.Context(), run, judged(t, c.text))
			if err != nil {
				t.Fatal(err)
			}
			if c.message == "" {
				if len(problems) > 0 {
					t.Errorf("refused: %v", problems)
				}
				return
			}
			if len(problems) == 0 {
				t.Fatal("accepted")
			}
			if p := problems[0]; p.Severity != c.severity || !strings.Contains(p.Message, c.message) || p.Source != c.source {
				t.Errorf("got %#v", p)
			}
		})
	}
}

// TestJudgeHidesLines has haproxy refuse lines with a secret in each place that its messages quote.
func TestJudgeHidesLines(t *testing.T) {
	run := sandboxed(t, labtest.Sandbox(t, "trixie"))
	for _, lines := range []string{
		"global: hunter2 x", "global: set-var proc.x strr(hunter2)", "global: setenv hunter2", "global: nbthread hunter2",
		"defaults: hunter2", "defaults: option hunter2", "defaults: timeout client hunter2", "defaults: balance hunter2",
		"extra: 'userlist u\n  user a pasword hunter2'", "extra: 'userlist u\n  user a password hunter2 groups hunter2'",
		"extra: 'listen a\n  stats auth hunter2'", "extra: 'listen a\n  stats auht a:hunter2'",
		"extra: 'listen a\n  http-request set-header Authorization Bearer hunter2'",
		"extra: 'listen a\n  http-request set-heder Authorization hunter2'",
		"extra: 'listen a\n  acl x hdrr(Authorization) hunter2'", "extra: 'listen a\n  server s hunter2:x'",
		"extra: 'listen a\n  option httpchk GET / HTTP/1.1 hunter2 hunter2 \"hunter2'", "extra: 'hunter2'",
		"extra: 'listen a\n  bind :1 ssl crt /none/hunter2.pem'", "extra: 'listen a\n  server s 192.0.2.1 hunter2'",
		"extra: 'listen a\n  " + strings.Repeat("hunter2 ", 100) + "'", "extra: 'listen a\n  description x" + strings.Repeat("hunter2", 300) + "\n  bad'",
	} {
		key, value, _ := strings.Cut(lines, ": ")
		if value[0] == '\'' {
			value = strings.ReplaceAll(strings.ReplaceAll(strings.Trim(value, "'"), `"`, `\"`), "\n", `\n`)
			value = `"` + value + `"`
		}
		problems, err := judgeHAProxy(t.Context(), run, judged(t, judgedSpec+"haproxy: {"+key+": "+value+"}\n"))
		if err != nil {
			t.Errorf("%s: %v", lines, err)
			continue
		}
		var out bytes.Buffer
		problems.Print(&out)
		if err := problems.PrintJSON(&out); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "hunter2") {
			t.Errorf("%s is shown:\n%s", lines, out.String())
		}
		t.Logf("%s", problems)
	}
}

// Without haproxy, or with one that says nothing, validation is what it was.
func TestJudgeWithoutHAProxy(t *testing.T) {
	for name, run := range map[string]tool.Runner{
		"none": func(context.Context, string, ...string) (tool.Result, error) {
			return tool.Result{}, errors.New("not found")
		},
		"other": func(context.Context, string, ...string) (tool.Result, error) {
			return tool.Result{Output: "hello"}, nil
		},
	} {
		if problems, err := judgeHAProxy(t.Context(), run, judged(t, judgedSpec)); err != nil || problems != nil {
			t.Errorf("%s: %v, %v", name, problems, err)
		}
	}
}
