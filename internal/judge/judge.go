// Package judge runs haproxy and keepalived on the configuration that is rendered from a spec, on the machine where bake runs
// or in an image that is being made, and returns their refusals as problems in the spec. Stubs replace what exists only on a
// node.
package judge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/haproxy/haproxycfg"
	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/keepalived/keepalivedconf"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/redact"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/srcmap"
	"github.com/hapair/hapair/internal/wellknown"
)

// timeout is the time limit of the daemons for one node.
const timeout = 30 * time.Second

// session is the test of one spec on one machine.
type session struct {
	sh      Shell
	spec    *spec.Spec
	release release.Release
	dir     string // the script's working directory
	image   bool   // the machine is an image of the release
	// The versions of the machine's daemons; zero: it does not have the daemon.
	haproxy, keepalived release.Version
	exists              map[string]bool // see stubs
}

// Spec tests a valid spec for a release as far as that is possible without an image: listeners, and the daemons of the machine
// that sh runs on.
func Spec(ctx context.Context, sh Shell, s *spec.Spec, r release.Release) (diag.Problems, error) {
	problems := Listeners(s, r)
	refused, err := Here(ctx, sh, s, r)
	return append(problems, refused...), err
}

// Here tests a valid spec with the daemons of the machine that sh runs on, if it has them. If their version differs from the
// release's, a refusal may be only a warning.
func Here(ctx context.Context, sh Shell, s *spec.Spec, r release.Release) (diag.Problems, error) {
	j := &session{sh: sh, spec: s, release: r, dir: tempDir(os.TempDir())}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := j.versions(ctx); err != nil {
		return nil, err
	}
	problems := j.missing()
	if j.haproxy == (release.Version{}) && j.keepalived == (release.Version{}) {
		return problems, nil
	}
	refused, err := j.nodes(ctx)
	return append(problems, refused...), err
}

// Image tests a valid spec with the daemons of an image that has been made for it.
func Image(ctx context.Context, sh Shell, s *spec.Spec, r release.Release) (diag.Problems, error) {
	j := &session{sh: sh, spec: s, release: r, image: true, dir: tempDir("/tmp"), haproxy: r.HAProxy, keepalived: r.Keepalived}
	if err := j.probe(ctx); err != nil {
		return nil, err
	}
	return j.nodes(ctx)
}

// tempDir returns an unpredictable name.
func tempDir(parent string) string { return filepath.Join(parent, "hapair-judge-"+rand.Text()) }

// nodes tests the nodes one by one and stops at the first that has errors: most errors are the same for all nodes.
func (j *session) nodes(ctx context.Context) (diag.Problems, error) {
	var problems diag.Problems
	for i := range j.spec.Nodes {
		found, err := j.node(ctx, &j.spec.Nodes[i])
		var unfit diag.Problems // nothing can be rendered
		if errors.As(err, &unfit) {
			found, err = j.spec.Place(unfit), nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot judge the configuration of node %s: %w", j.spec.Nodes[i].Name, err)
		}
		problems = append(problems, found...)
		if found.HasErrors() {
			break
		}
	}
	return unique(problems), nil
}

func (j *session) node(ctx context.Context, n *spec.Node) (diag.Problems, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	sc := newScript(j.dir)
	st := j.newStubs()
	var h *judged
	var k *judged
	if j.haproxy != (release.Version{}) {
		config, origins, err := haproxycfg.RenderLines(j.spec.WithPlaceholders(), n, j.haproxy)
		if err != nil {
			return nil, err
		}
		beside, err := j.besideHAProxy(n)
		if err != nil {
			return nil, err
		}
		if h, err = stageHAProxy(sc, st, string(config), beside, n); err != nil {
			return nil, err
		}
		h.origins = origins
	}
	if j.keepalived != (release.Version{}) {
		config, origins, err := keepalivedconf.RenderLines(j.spec, n, j.keepalived)
		if err != nil {
			return nil, err
		}
		k = stageKeepalived(sc, st, string(config), n)
		k.origins = origins
	}
	results, err := sc.run(ctx, j.sh)
	if err != nil {
		return nil, err
	}
	var problems diag.Problems
	if h != nil {
		problems = append(problems, j.haproxyRefusals(h, results["haproxy"])...)
	}
	if k != nil {
		problems = append(problems, j.keepalivedRefusals(k, results["keepalived"])...)
	}
	return problems, nil
}

// judged is a file that a daemon tests.
type judged struct {
	config  string // the path on the node
	origins []srcmap.Origin
	stubs   *stubs
	unsure  map[int]bool // lines with an environment variable
	redact  *redact.Config
}

// besideHAProxy returns the files that a node's haproxy loads after haproxy.cfg.
func (j *session) besideHAProxy(n *spec.Node) ([]recipe.File, error) {
	node, err := recipe.Node(j.spec.WithPlaceholders(), n, j.release)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(node.Files, func(f recipe.File) bool {
		return f.Path == wellknown.HAProxyConfig || path.Dir(f.Path) != path.Dir(wellknown.HAProxyConfig) || path.Ext(f.Path) != ".cfg"
	}), nil
}

// stageHAProxy adds haproxy's test of a file, and of the files beside it, to a script.
func stageHAProxy(sc *script, st *stubs, config string, beside []recipe.File, n *spec.Node) (*judged, error) {
	copied, unsure := stubHAProxy(config, st)
	sc.put("haproxy.cfg", copied)
	more := ""
	redacted := [][]byte{[]byte(config)}
	for _, f := range beside {
		name := path.Base(f.Path)
		copied, _ := stubHAProxy(string(f.Content), st)
		sc.put(name, copied)
		redacted = append(redacted, f.Content)
		more += ` -f "$dir"/` + install.Quote(name)
	}
	st.lua = luaStub(config)
	contents, err := st.contents()
	if err != nil {
		return nil, fmt.Errorf("cannot make a certificate: %w", err)
	}
	for name, content := range contents {
		sc.put(name, content)
	}
	if !namesItself(config) {
		more += " -L " + install.Quote(n.Hostname)
	}
	fmt.Fprintf(sc, "say haproxy haproxy -Ws -c -f \"$dir/haproxy.cfg\"%s\n", more)
	return &judged{config: config, stubs: st, unsure: unsure, redact: redact.NewConfig(redacted...)}, nil
}

// namesItself reports whether a file sets haproxy's own name among its peers. Then haproxy does not accept -L.
func namesItself(config string) bool {
	for line := range strings.Lines(config) {
		if ws := cutHAProxy(strings.TrimRight(line, "\n")); len(ws) > 1 && ws[0].text == "localpeer" {
			return true
		}
	}
	return false
}

// stageKeepalived adds keepalived's test of a file to a script.
func stageKeepalived(sc *script, st *stubs, config string, n *spec.Node) *judged {
	sc.put("keepalived.conf", stubKeepalived(config, st))
	fmt.Fprintf(sc, "say keepalived keepalived -t -i %s -f \"$dir/keepalived.conf\"\n", install.Quote(n.Hostname))
	return &judged{config: config, stubs: st, redact: redact.NewConfig([]byte(config))}
}

// probe finds out which of the files and accounts that the configuration names exist in the image.
func (j *session) probe(ctx context.Context) error {
	j.exists = map[string]bool{}
	asked := map[string]bool{}
	for i := range j.spec.Nodes {
		n, st := &j.spec.Nodes[i], j.newStubs()
		config, err := haproxycfg.Render(j.spec.WithPlaceholders(), n, j.haproxy)
		if err != nil {
			return err
		}
		stubHAProxy(string(config), st)
		if config, err = keepalivedconf.Render(j.spec, n, j.keepalived); err != nil {
			return err
		}
		stubKeepalived(string(config), st)
		maps.Copy(asked, st.asked)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	sc := newScript(j.dir)
	names := slices.Sorted(maps.Keys(asked))
	for i, what := range names {
		test := "test -e " + install.Quote(what)
		if name, ok := strings.CutPrefix(what, "user "); ok {
			test = "getent passwd " + install.Quote(name)
		} else if name, ok := strings.CutPrefix(what, "group "); ok {
			test = "getent group " + install.Quote(name)
		}
		fmt.Fprintf(sc, "say %d %s\n", i, test)
	}
	sc.WriteString("say end true\n")
	results, err := sc.run(ctx, j.sh)
	if err != nil {
		return fmt.Errorf("cannot look into the image: %w", err)
	}
	for i, what := range names {
		j.exists[what] = results[strconv.Itoa(i)].status == 0
	}
	return nil
}

// declares reports whether the spec creates an account at a node's first boot, by access.users or cloud_config.
func (j *session) declares(name string) bool {
	for _, u := range j.spec.Access.Users {
		if u.Name == name {
			return true
		}
	}
	found := false
	eachString(j.spec.CloudConfig, func(text string) {
		found = found || slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n,:;\"'", r) }), name)
	})
	return found
}

// versions asks the machine's daemons for their versions.
func (j *session) versions(ctx context.Context) error {
	sc := newScript(j.dir)
	sc.WriteString("say haproxy haproxy -v\nsay keepalived keepalived --version\n")
	results, err := sc.run(ctx, j.sh)
	if err != nil {
		return fmt.Errorf("cannot ask haproxy and keepalived for their versions: %w", err)
	}
	j.haproxy = versionIn(results["haproxy"])
	j.keepalived = versionIn(results["keepalived"])
	return nil
}

var versionNumber = regexp.MustCompile(`(?i)^(?:haproxy version |keepalived v)(\d\S*)`)

// versionIn returns the version that a daemon printed; the zero Version if there is none.
func versionIn(s result) release.Version {
	for _, line := range s.lines {
		if m := versionNumber.FindStringSubmatch(line); m != nil {
			if v, err := release.ParseVersion(m[1]); err == nil {
				return v
			}
		}
	}
	return release.Version{}
}

// missing warns about text that the daemons of this machine cannot test.
func (j *session) missing() diag.Problems {
	var problems diag.Problems
	warn := func(o srcmap.Origin, what, message, hint string) {
		p := j.spec.At(o)
		p.Severity, p.Message, p.Hint = diag.Warning, message, hint
		if p.Hint == "" {
			p.Hint = fmt.Sprintf("install %s here to test it now; bake image tests it with the %s of %s", what, what, j.release.Title)
		}
		problems = append(problems, p)
	}
	h := j.spec.HAProxy
	if j.haproxy == (release.Version{}) {
		for _, field := range append([]spec.RawText{{Path: "haproxy.config", Text: h.Config}}, j.spec.RawTexts()...) {
			if strings.TrimSpace(field.Text) != "" {
				warn(srcmap.Origin{Path: field.Path, Text: field.Path != "haproxy.config", Line: -1}, "haproxy", "cannot be tested: haproxy is not installed on this machine", "")
				if !strings.HasPrefix(field.Path, "haproxy.") {
					break // one warning is enough for the lines of all services
				}
			}
		}
	}
	if j.keepalived == (release.Version{}) {
		problems = append(problems, j.keepalivedUnjudged()...)
	}
	return problems
}
