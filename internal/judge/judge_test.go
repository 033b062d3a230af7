package judge

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/labtest"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/test/cluster"
)

// shellOf runs scripts in a sandbox.
func shellOf(sb *lab.Sandbox) Shell {
	return func(ctx context.Context, script string, out io.Writer) error {
		cmd := sb.Command(ctx, "sh")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), out, out
		return cmd.Run()
	}
}

// load reads a spec that is valid apart from what the daemons say.
func load(t *testing.T, path string) *spec.Spec {
	t.Helper()
	s, problems := spec.Load(path)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return s
}

// write writes a spec, with the files that it names beside it, and loads it.
func write(t *testing.T, text string, files map[string]string) *spec.Spec {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "spec.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(t, path)
}

const head0 = `apiVersion: hapair/v1
cluster: test
nodes:
  - {name: lb_1, address: 192.0.2.1/24, interface: eth0}
  - {name: lb2, address: 192.0.2.2/24, interface: eth0}
vips:
  - {name: public, address: 192.0.2.10/24}
  - {name: internal, address: 198.51.100.10/24, interface: ens4}
services:
  - name: web
    vip: public
    port: 443
    mode: http
    tls: {certificate: /etc/haproxy/certs/web.pem}
    servers: [{name: a, address: 198.51.100.1}]
`

// each runs a test with the daemons of each release.
func each(t *testing.T, test func(t *testing.T, r release.Release, sh Shell)) {
	for _, name := range cluster.Releases(t, "bookworm", "trixie", "noble") {
		t.Run(name, func(t *testing.T) {
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			test(t, r, shellOf(labtest.Sandbox(t, name)))
		})
	}
}

func here(t *testing.T, sh Shell, s *spec.Spec, r release.Release) diag.Problems {
	t.Helper()
	problems, err := Here(t.Context(), sh, s, r)
	if err != nil {
		t.Fatal(err)
	}
	return problems
}

func TestExamplesAreTaken(t *testing.T) {
	each(t, func(t *testing.T, r release.Release, sh Shell) {
		examples, err := filepath.Glob("../../examples/*.yaml")
		if err != nil || len(examples) < 10 {
			t.Fatalf("%d examples, %v", len(examples), err)
		}
		for _, example := range append(examples, "../recipe/testdata/everything.yaml") {
			s := load(t, example)
			for name, judge := range map[string]func(context.Context, Shell, *spec.Spec, release.Release) (diag.Problems, error){"here": Here, "image": Image} {
				if problems, err := judge(t.Context(), sh, s, r); err != nil || len(problems) > 0 {
					t.Errorf("%s, %s: %v, %v", filepath.Base(example), name, problems, err)
				}
			}
			if problems := Listeners(s, r); len(problems) > 0 {
				t.Errorf("%s: %v", filepath.Base(example), problems)
			}
		}
	})
}

// Without daemons the spec is not refused, but what nobody has judged is named.
func TestWithoutDaemons(t *testing.T) {
	r, err := release.Get("noble")
	if err != nil {
		t.Fatal(err)
	}
	none := func(_ context.Context, _ string, out io.Writer) error {
		_, err := io.WriteString(out, "= haproxy 127\n haproxy: not found\n= keepalived 127\n")
		return err
	}
	problems := here(t, none, write(t, head0+"haproxy: {global: tune.bufsize 32768}\nkeepalived:\n  extra: |\n\n    vrrp_sync_group a {\n", nil), r)
	if len(problems) != 2 || problems.HasErrors() || problems[0].Line != 16 || problems[1].Line != 20 {
		t.Errorf("%v", problems)
	}
	if problems := here(t, none, write(t, head0, nil), r); len(problems) != 0 {
		t.Errorf("nothing is passed through: %v", problems)
	}
	broken := func(context.Context, string, io.Writer) error { return errors.New("no shell") }
	if _, err := Here(t.Context(), broken, write(t, head0, nil), r); err == nil {
		t.Error("a shell that does not run gives no error")
	}
}
