package judge

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/testing/labtest"
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

// load reads a spec, which must have no errors.
func load(t *testing.T, path string) *spec.Spec {
	t.Helper()
	s, problems := spec.Load(path)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return s
}

// write writes a spec and the files that it refers to, and loads it.
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
	for _, name := range cluster.Span(t) {
		t.Run(name, func(t *testing.T) {
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			sb := labtest.Sandbox(t, name)
			// account that an image's recipe creates
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

func TestExamplesAreAccepted(t *testing.T) {
	each(t, func(t *testing.T, r release.Release, sh Shell) {
		examples, err := filepath.Glob("../../examples/*.yaml")
		if err != nil || len(examples) < 10 {
			t.Fatalf("%d examples, %v", len(examples), err)
		}
		for _, example := range append(examples, "../recipe/testdata/everything.yaml", "../recipe/testdata/services.yaml") {
			s := load(t, example)
			for name, judge := range map[string]func(context.Context, Shell, *spec.Spec, release.Release) (diag.Problems, error){"here": Here, "image": Image} {
				if problems, err := judge(t.Context(), sh, s, r); err != nil || len(problems) > 0 {
					t.Errorf("%s, judged as %s: %v, %v; want no problems", filepath.Base(example), name, problems, err)
				}
			}
			if problems := Listeners(s, r); len(problems) > 0 {
				t.Errorf("%s: problems of listeners: %v; want none", filepath.Base(example), problems)
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

// A file may refer to objects that exist only on nodes. Mistakes among such lines must be reported, at their lines.
func TestStubsHideNoMistake(t *testing.T) {
	each(t, func(t *testing.T, r release.Release, sh Shell) {
		const text = "haproxy: {config: own.cfg}\ncloud_config: {groups: [web-group], users: [{name: web-user}]}\n"
		for name, judge := range map[string]func(context.Context, Shell, *spec.Spec, release.Release) (diag.Problems, error){"here": Here, "image": Image} {
			s := write(t, head0+text, map[string]string{"own.cfg": everythingElsewhere})
			problems, err := judge(t.Context(), sh, s, r)
			if err != nil || len(problems) > 0 && (len(problems) > 1 || problems[0].Hint != environment) {
				t.Errorf("judged as %s: %v, %v; want no problems", name, problems, err)
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
				t.Errorf("judged as %s: lines with errors (-want +got):\n%s\n%v", name, diff, problems)
			}
		}
	})
}

// A line that a daemon refuses must be an error at its line of the spec, even if the spec has a secret that cannot be read.
func TestMistakesAreFound(t *testing.T) {
	const group = "    vrrp_sync_group together {\n        group {\n            VI_public\n            VI_internal\n        }\n"
	for name, c := range map[string]struct {
		text, message string
		line          int // line after head0; 0 if there is no error; negative for a line of the whole file
		path          string
	}{
		"global":         {"haproxy:\n  global: |\n\n    tune.bufsize 32768\n    colour blue\n", "unknown keyword", 5, "haproxy.global"},
		"global inline":  {"haproxy: {global: colour blue}\n", "unknown keyword", 1, "haproxy.global"},
		"defaults":       {"haproxy:\n  defaults: |2\n      option socket-stats\n      optoin x\n", "unknown keyword", 4, "haproxy.defaults"},
		"extra":          {"haproxy:\n  extra: |\n    backend b\n        mode http\n        server x 192.0.2.30:80 chekc\n", "unknown keyword", 5, "haproxy.extra"},
		"no backend":     {"haproxy:\n  extra: |\n    frontend f\n        mode http\n        bind 192.0.2.10:80\n        default_backend none\n", "unable to find", 3, "haproxy.extra"},
		"address":        {"haproxy:\n  extra: |\n    backend b\n        server x 10.0.0.300:80\n", "10.0.0.300", 4, "haproxy.extra"},
		"missing secret": {"stats: {user: a, password: {env: HAPAIR_TEST_NOT_SET}}\nhaproxy: {global: colour blue}\n", "unknown keyword", 2, "haproxy.global"},
		"a field":        {"    balance: hash nothing\n", "balance", -11, "services[0]"},
		"config":         {"haproxy: {config: own.cfg}\n", "unknown keyword", -2, "haproxy.config"},
		"keepalived":     {"keepalived:\n  extra: |\n    vrrp_sync_group g {\n        grup {\n            VI_public\n        }\n    }\n", "", 4, "keepalived.extra"},
		"missing brace":  {"keepalived:\n  extra: |\n" + group, "not closed", 3, "keepalived.extra"},
		"additional }":   {"keepalived:\n  extra: |\n" + group + "    }\n    }\n", "Extra '}'", 9, "keepalived.extra"},
		"a sync group":   {"keepalived:\n  extra: |\n" + group + "    }\n", "", 0, ""},
		"on nodes": {"keepalived:\n  extra: |\n" + group + "        notify /opt/notify.sh someone staff\n    }\n    vrrp_script own {\n        script \"/opt/check.sh x\"\n" +
			"        user someone\n        interval 2\n    }\n    vrrp_instance OWN {\n        interface bond0.7\n        virtual_router_id 77\n        priority 100\n" +
			"        notify_master \"/opt/master.sh a b\"\n        track_interface {\n            wlan0\n        }\n        track_script {\n            own\n        }\n" +
			"        virtual_ipaddress {\n            203.0.113.9/24 dev bond0.8\n        }\n    }\n    include /etc/keepalived/conf.d/*.conf\n" +
			"cloud_config: {users: [{name: someone}], groups: [staff]}\n", "", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, r release.Release, sh Shell) {
				if name == "a field" && !r.HAProxy.AtLeast(2, 6, 0) {
					return // this haproxy does not have the balance method, so the spec itself is refused
				}
				s := write(t, strings.Replace(head0, "cluster:", "image: {release: "+r.Name+"}\ncluster:", 1)+c.text, map[string]string{"own.cfg": "global\n  colour blue\n"})
				for name, judge := range map[string]func(context.Context, Shell, *spec.Spec, release.Release) (diag.Problems, error){"here": Here, "image": Image} {
					problems, err := judge(t.Context(), sh, s, r)
					if err != nil {
						t.Fatal(err)
					}
					if c.line == 0 {
						if len(problems) > 0 {
							t.Errorf("judged as %s: %v; want no problems", name, problems)
						}
						continue
					}
					file, line := "spec.yaml", c.line+strings.Count(head0, "\n")+1
					if c.line < 0 {
						line = -c.line
					}
					if c.path == "haproxy.config" {
						file = "own.cfg"
					}
					if !slices.ContainsFunc(problems, func(p diag.Problem) bool {
						return p.Severity == diag.Error && filepath.Base(p.File) == file && p.Line == line && p.Path == c.path && strings.Contains(p.Message, c.message) && (p.Source == "" || p.Path == "services[0]") && !strings.Contains(p.Message, "hapair-judge")
					}) {
						t.Errorf("judged as %s: want an error at %s:%d, got %#v", name, file, line, problems)
					}
				}
			})
		})
	}
}

// If a daemon of another version refuses a text that the release's version may accept, the problem must be a warning.
func TestOtherVersions(t *testing.T) {
	each(t, func(t *testing.T, r release.Release, sh Shell) {
		for _, other := range release.All() {
			newer := r.HAProxy.AtLeast(other.HAProxy[0], other.HAProxy[1], 0)
			for text, want := range map[string]bool{
				"haproxy: {global: colour blue}\n": newer,
				"haproxy: {global: nbproc 1}\n":    r.Name == other.Name && r.HAProxy.AtLeast(2, 5, 0), // removed in 2.5
				"haproxy:\n  extra: |\n    listen a\n        mode http\n        use_backend none\n": true,
			} {
				problems := here(t, sh, write(t, head0+text, nil), other)
				if problems.HasErrors() != want && !(strings.Contains(text, "nbproc") && len(problems) == 0) {
					t.Errorf("%s judges %[3]q for %[2]s: %[4]v", r.HAProxy, other.HAProxy, text, problems)
				}
				for _, p := range problems {
					if p.Severity == diag.Warning && (!strings.Contains(p.Message, r.HAProxy.String()[:4]) || !strings.Contains(p.Hint, other.HAProxy.String())) {
						t.Errorf("the warning does not name both versions: %v", p)
					}
				}
			}
		}
	})
}

// machine lets the steps of a recipe run in a sandbox.
type machine struct{ run Shell }

func (m machine) Run(ctx context.Context, script string, out io.Writer) error {
	return m.run(ctx, script, out)
}

func (machine) Upload(context.Context, string, fs.FileMode, io.Reader) error {
	return errors.New("a step that judges a spec uploads no file")
}

// The step in an image's recipe must fail if the image's daemons refuse the spec, for example because an account does not
// exist on any node.
func TestStep(t *testing.T) {
	each(t, func(t *testing.T, r release.Release, sh Shell) {
		for text, want := range map[string]string{
			"":                                 "",
			"haproxy: {global: colour blue}\n": "unknown keyword",
			"haproxy: {global: unix-bind user haprxy}\n": "unknown user",
			"haproxy: {global: unix-bind user ops}\naccess: {users: [{name: ops, ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPn3gUOZcPnxUSCNEhRRlZKWTGx6Cx1YBT2NcPOkFUo1]}]}\n": "",
			"keepalived:\n  extra: |\n    vrrp_script a {\n        script /usr/bin/true\n        user nobdy\n    }\n":                                                                          "Unable to set uid/gid",
		} {
			s := write(t, head0+text, nil)
			var refused diag.Problems
			err := install.Do(t.Context(), machine{sh}, []install.Step{Step(s, r)}, nil)
			if (err != nil) != (want != "") || err != nil && (!errors.As(err, &refused) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "spec.yaml:")) {
				t.Errorf("spec with %q: want an error with %q, got %v", text, want, err)
			}
		}
	})
}

// An unprivileged user gets the same answer as root.
func TestUnprivilegedUserGetsTheSameAnswer(t *testing.T) {
	each(t, func(t *testing.T, r release.Release, root Shell) {
		sh := func(ctx context.Context, script string, out io.Writer) error {
			return root(ctx, "exec setpriv --reuid 1234 --regid 1234 --clear-groups sh <<'END-OF-SCRIPT'\nulimit -n 256\n"+script+"END-OF-SCRIPT\n", out)
		}
		if problems := here(t, sh, load(t, "../recipe/testdata/everything.yaml"), r); len(problems) > 0 {
			t.Error(problems)
		}
		problems := here(t, sh, write(t, head0+"keepalived:\n  extra: |\n    vrrp_script a {\n        script /opt/a\n        wieght 3\n    }\n", nil), r)
		if len(problems) != 1 || problems[0].Line != 20 {
			t.Error(problems)
		}
	})
}

// Without daemons, the spec is accepted with a warning for each text that was not judged.
func TestWithoutDaemonsIsAWarning(t *testing.T) {
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
		t.Errorf("problems %v, want warnings on lines 16 and 20", problems)
	}
	if problems := here(t, none, write(t, head0, nil), r); len(problems) != 0 {
		t.Errorf("a spec without raw text: %v; want no problems", problems)
	}
	broken := func(context.Context, string, io.Writer) error { return errors.New("no shell") }
	if _, err := Here(t.Context(), broken, write(t, head0, nil), r); err == nil {
		t.Error("a shell that cannot run returned no error")
	}
}
