package afternoon

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/packages"
	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/internal/version"
	"github.com/hapair/hapair/test/machine"
)

var update = flag.Bool("update", false, "write the outputs and times to the page")

const pageFile = "../../docs/afternoon.md"

// TestAfternoon plays docs/afternoon.md from the installation of bake to the end of the old machines. Every command must succeed,
// and print what the page shows, apart from numbers.
func TestAfternoon(t *testing.T) {
	needs.Cluster(t)
	labtest.Need(t)
	page, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	steps := read(string(page))
	if len(steps) < 10 {
		t.Fatalf("%s has %d steps", pageFile, len(steps))
	}
	cache, err := lab.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	key := machine.NewKey(t, "ops")
	p := newPair(t, key.Key)
	o := newOperator(t, labtest.Root(t, "noble", lab.StockPackages()...), cache)
	o.write(t, fmt.Sprintf("root/hapair-bake_%s_amd64.deb", version.Version), 0o644, bakePackage(t))
	logIn(t, o, p, key)
	for _, s := range steps {
		play(t, s, o, p)
	}
	if *update {
		if err := os.WriteFile(pageFile, []byte(write(string(page), steps)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func play(t *testing.T, s *step, o *operator, p *pair) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	began := time.Now()
	var err error
	switch action, name, _ := strings.Cut(s.action, " "); action {
	case "":
		s.output, err = o.run(ctx, s.script)
	case "replace":
		err = p.replace(t.Context(), o, name)
	case "clients":
		s.output, err = p.clients()
	default:
		err = fmt.Errorf("there is no action %q", action)
	}
	s.took = time.Since(began)
	t.Logf("%s%s: %v\n%s", s.script, s.action, s.took.Round(100*time.Millisecond), s.output)
	if err != nil {
		logs, _ := o.run(ctx, "tail -n 40 *.log || true")
		t.Log(logs)
		for _, h := range p.now {
			t.Logf("%s:\n%s", h.Name, h.Logs(ctx, 30))
		}
		t.Fatalf("%s%s: %v", s.script, s.action, err)
	}
	if s.has && !*update && !same(s.shown, s.output) {
		t.Errorf("%s shows for\n%s\n%s\nand it prints\n%s", pageFile, s.script, s.shown, s.output)
	}
}

// bakePackage builds hapair-bake.
func bakePackage(t *testing.T) []byte {
	t.Helper()
	p, err := packages.Bake(packages.Tools{Bake: gotool.Bake(t), Agent: gotool.Agent(t)})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// logIn gives the operator the key, and an ssh_config with the ways to both machines, by name and by address.
func logIn(t *testing.T, o *operator, p *pair, key *machine.Admin) {
	t.Helper()
	private, err := os.ReadFile(filepath.Join(filepath.Dir(key.Config()), "key"))
	if err != nil {
		t.Fatal(err)
	}
	o.write(t, "root/.ssh/id_ed25519", 0o600, private)
	o.write(t, "root/.ssh/id_ed25519.pub", 0o644, []byte(key.Key+"\n"))
	var config strings.Builder
	for name, address := range addresses {
		fmt.Fprintf(&config, "Host %s %s\n  HostName 127.0.0.1\n  HostKeyAlias %s\n  Port %d\n", name, address, name, reach(t, p.client, address))
	}
	config.WriteString("Host *\n  User ops\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n")
	o.write(t, "root/.ssh/config", 0o600, []byte(config.String()))
}
