package judge

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
			sb := labtest.Sandbox(t, name)
			// as the recipe of an image makes it
			if out, status, err := sb.Run(t.Context(), "useradd", "--system", "--user-group", "hapair-check"); err != nil || status != 0 {
				t.Fatal(out, err)
			}
			test(t, r, shellOf(sb))
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

const everythingElsewhere = `
global
    log syslog.example.org:514 local0
    user web-user
    group web-group
    chroot /srv/chroot
    stats socket /run/haproxy/own.sock mode 660 user web-user group web-group level user
    lua-load /etc/haproxy/scripts/a.lua
    lua-load /etc/haproxy/scripts/b.lua
    ssl-dh-param-file /etc/haproxy/dh.pem
    crt-base /etc/haproxy/certs
    ca-base /etc/haproxy/ca
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    errorfile 503 /etc/haproxy/errors/own.http
userlist people
    group staff users me
    user me insecure-password hunter22
resolvers dns
    nameserver one dns.example.org:53
mailers mail
    mailer one mail.example.org:25
peers those
    peer lb-1 lb-1.example.org:10000
    peer lb2 192.0.2.2:10000
http-errors ours
    errorfile 404 /etc/haproxy/errors/404.http
backend sticky
    stick-table type ip size 1m expire 30m peers those
frontend web
    bind 192.0.2.10:80
    bind 192.0.2.10:443 ssl crt own.pem crt /etc/haproxy/certs/ ca-file clients.pem verify optional crl-file revoked.pem alpn h2,http/1.1
    bind 192.0.2.10:444 ssl crt-list /etc/haproxy/crt-list.txt tls-ticket-keys /etc/haproxy/tickets
    bind unix@/run/haproxy/web.sock user web-user group web-group mode 660
    acl bad src -f /etc/haproxy/bad.lst
    acl names hdr(host),lower -m str -f /etc/haproxy/names.lst -f /etc/haproxy/more.lst
    errorfiles ours
    http-request deny if bad
    http-request set-header X-Group "%[src,map_ip(/etc/haproxy/maps/groups.map,none)]"
    http-request set-map(/etc/haproxy/maps/groups.map) %[src] new if names
    http-request return status 200 content-type text/html file /etc/haproxy/page.html if { path /page }
    http-request return status 200 content-type text/html lf-file /etc/haproxy/page.lf if { path /lf }
    http-request lua.first one two if { path /lua }
    http-request set-header X-Lua %[lua.fetch(1)]
    http-request use-service lua.answer if { path /answer }
    http-request set-header X-Conv %[src,lua.convert]
    use_backend %[req.hdr(host),lower,map(/etc/haproxy/maps/hosts.map,app)]
    filter spoe engine guard config /etc/haproxy/guard.conf
    http-request send-spoe-group guard all
    default_backend app
backend app
    balance roundrobin
    option httpchk GET /health
    server one app1.internal:8080 check addr health.internal port 8081 source outgoing.internal
    server two app2.internal:8443 check ssl verify required ca-file upstream.pem crt client.pem resolvers dns init-addr none
    server-template three 3 _http._tcp.example.org resolvers dns check
    server four unix@/run/app.sock
listen tcp
    mode tcp
    bind 192.0.2.10:5432
    tcp-request content lua.second if { src 10.0.0.0/8 }
    source outgoing.internal
    server pg "${PG_HOST}:5432" check
`

// A file that names what exists on nodes alone is taken, and one mistake among all that is found, at its line.
func TestStubsHideNothing(t *testing.T) {
	each(t, func(t *testing.T, r release.Release, sh Shell) {
		const text = "haproxy: {config: own.cfg}\ncloud_config: {groups: [web-group], users: [{name: web-user}]}\n"
		for name, judge := range map[string]func(context.Context, Shell, *spec.Spec, release.Release) (diag.Problems, error){"here": Here, "image": Image} {
			s := write(t, head0+text, map[string]string{"own.cfg": everythingElsewhere})
			problems, err := judge(t.Context(), sh, s, r)
			if err != nil || len(problems) > 0 && (len(problems) > 1 || problems[0].Hint != environment) {
				t.Errorf("%s: %v, %v", name, problems, err)
			}
			lines := strings.Split(everythingElsewhere, "\n")
			wrong := slices.Clone(lines)
			var want, got []int
			for i, line := range lines {
				if strings.HasPrefix(line, "    ") && !strings.Contains(line, "$") && !strings.Contains(line, "spoe") {
					wrong[i] = "    xyz" + strings.TrimSpace(line)
					want = append(want, i+1)
				}
			}
			s = write(t, head0+text, map[string]string{"own.cfg": strings.Join(wrong, "\n")})
			if problems, err = judge(t.Context(), sh, s, r); err != nil {
				t.Fatal(err)
			}
			for _, p := range problems {
				if p.Severity == diag.Error && filepath.Base(p.File) == "own.cfg" {
					got = append(got, p.Line)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: other lines are refused than are wrong (-want +got):\n%s\n%v", name, diff, problems)
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
