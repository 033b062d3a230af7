package bench

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/test/cluster"
)

const aboutReload = `The time from saving a haproxy.cfg until the virtual IP serves it, and the requests that clients lose: %d changes that are %v
apart, and %d in a row, each as soon as the virtual IP serves the previous one, which ha-agent is then still proving. During the
changes, one client sends 100 requests per second, each over a new connection, and four clients send 100 requests per second each
over connections that they keep for 100 requests. Clients do not retry.

*ha-agent* waits until the file has not changed for 50 ms, tests it meanwhile, reloads, and proves the result. ` + "`systemctl reload`" + ` tests and
reloads without a proof. *consul-template* v0.41.1 writes the file whenever a key of a Consul store changes, and runs
` + "`systemctl reload`" + `. The bench simulates the store, which answers at once. For these
two, haproxy.cfg does not have hapair's settings for reloads (close-spread-time, hard-stop-after).`

const (
	// reloads and apart are the numbers of changes with each way: in a row, and with a pause before each.
	reloads, apart = 100, 30
	pause          = 2 * time.Second // every way has finished the previous change by then
)

// reloadWay is a way to apply a haproxy.cfg.
type reloadWay struct {
	name   string
	before string // a script that prepares the node
	save   func(ctx context.Context, content string) error
}

// BenchmarkReload changes a haproxy.cfg repeatedly, while clients count lost requests.
func BenchmarkReload(b *testing.B) {
	bake := cluster.Build(b, spec("250ms"))
	p := bootPair(b, bake, "trixie", bake.Image(b, "trixie"), hapair())
	holder, err := p.settle(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	original, err := holder.ReadFile(wellknown.HAProxyConfig)
	if err != nil {
		b.Fatal(err)
	}
	store := &keyValue{}
	startConsulTemplate(b, p, holder, store)
	script := func(text string) func(context.Context, string) error {
		return func(ctx context.Context, content string) error {
			return cluster.Pipe(ctx, holder, content, text, wellknown.HAProxyConfig)
		}
	}
	const save = `cp -p "$1" "$1.new" && cat >"$1.new" && mv "$1.new" "$1"`
	table := found.table(Table{Name: "reload", Title: "What a reload costs", Unit: "ms", What: "changes", About: fmt.Sprintf(aboutReload, apart, pause, reloads)})
	for _, w := range []reloadWay{
		{"ha-agent", "systemctl start ha-agent", script(save)},
		{"systemctl reload", "systemctl stop ha-agent", script(save + " && systemctl reload haproxy")},
		{"consul-template", "systemctl stop ha-agent", store.set},
	} {
		b.Run(w.name, func(b *testing.B) {
			if err := cluster.Pipe(b.Context(), holder, "", w.before); err != nil {
				b.Fatal(err)
			}
			cfg := string(original)
			if w.name != "ha-agent" {
				cfg = strings.NewReplacer("    close-spread-time infinite\n", "", "    hard-stop-after 15m\n", "").Replace(cfg)
			}
			p.reload(b, w, cfg, table)
		})
	}
}

// reload makes one change after the other.
func (p *pair) reload(b *testing.B, w reloadWay, cfg string, table *Table) {
	ctx := b.Context()
	mark := func(i int) string { return fmt.Sprintf("%s-%d", strings.ReplaceAll(w.name, " ", "-"), i) }
	if _, err := p.inForce(ctx, w, cluster.Marked(cfg, mark(-1)), mark(-1)); err != nil { // the first change is not a typical reload
		b.Fatal(err)
	}
	fresh := p.Client.WatchFresh(ctx, url, 10*time.Millisecond, 900*time.Millisecond)
	defer fresh.Stop()
	var kept []*lab.Watch
	for range 4 {
		k := p.Client.WatchKeptAlive(ctx, url, 10*time.Millisecond, 900*time.Millisecond, 100)
		defer k.Stop()
		kept = append(kept, k)
	}
	changes := 0
	measure := func(n int, pause time.Duration) (took Sample) {
		for range n {
			time.Sleep(pause)
			d, err := p.inForce(ctx, w, cluster.Marked(cfg, mark(changes)), mark(changes))
			if err != nil {
				b.Fatal(err)
			}
			took.Values = append(took.Values, milliseconds(d))
			changes++
		}
		return took
	}
	inRow := measure(reloads, 0)
	single := measure(apart, pause)
	table.add("saved until it serves", w.name, single)
	table.add("the same, changes in a row", w.name, inRow)
	table.add("lost, new connections", w.name, Sample{Note: lost(fresh.Stop())})
	var reports []lab.WatchReport
	for _, k := range kept {
		reports = append(reports, k.Stop())
	}
	table.add("lost, kept-alive connections", w.name, Sample{Note: lost(reports...)})
	tell("reload by %s: %s ms, in a row %s ms; lost %s, %s", w.name, cell(single), cell(inRow), lost(fresh.Report()), lost(reports...))
	single.report(b, "ms")
}

func lost(reports ...lab.WatchReport) string {
	asked, failed := 0, 0
	for _, r := range reports {
		asked += total(r) + r.Failures
		failed += r.Failures
	}
	return fmt.Sprintf("**%d** of %s", failed, count(asked))
}

// inForce saves a haproxy.cfg, and measures how long it takes until the VIP serves it.
func (p *pair) inForce(ctx context.Context, w reloadWay, content, mark string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	start := time.Now()
	if err := w.save(ctx, content); err != nil {
		return 0, err
	}
	err := poll.Nil(ctx, 2*time.Millisecond, func() error {
		_, body, err := p.Client.Get(ctx, url+"mark")
		if err == nil && body != mark {
			err = fmt.Errorf("GET /mark: %q; want %q", body, mark)
		}
		return err
	})
	return time.Since(start), err
}

const consulTemplateConfig = `consul { address = "192.168.56.210:8500" }
template {
  contents    = "{{ key \"haproxy.cfg\" }}"
  destination = "/etc/haproxy/haproxy.cfg"
  command     = "systemctl reload haproxy"
}
`

// startConsulTemplate runs a real consul-template on a node, with a store that has no value yet.
func startConsulTemplate(b *testing.B, p *pair, h *lab.Host, store *keyValue) {
	b.Helper()
	program, err := os.ReadFile(gotool.Path(b, "github.com/hashicorp/consul-template", "v0.41.1", "."))
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Lab.Serve("management", netip.MustParsePrefix("192.168.56.210/24"), 8500, store); err != nil {
		b.Fatal(err)
	}
	if err := h.WriteFile("/usr/local/bin/consul-template", 0o755, program); err != nil {
		b.Fatal(err)
	}
	if err := h.WriteFile("/etc/consul-template.hcl", 0o644, []byte(consulTemplateConfig)); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	cmd, err := h.Command(ctx, "consul-template", "-config", "/etc/consul-template.hcl")
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
}
