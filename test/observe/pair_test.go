// Package observe causes faults of a pair of real hosts in the lab, and checks that status, metrics and alerts report them.
package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/examples"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/testing/labtest"
)

const (
	theRelease = "noble"
	limit      = 40 * time.Second // time limit, because the machine may be busy
	settled    = 1500 * time.Millisecond
)

// onChange is the VIP's command.
const onChange = "/usr/local/sbin/on-change"

var theVIP = netip.MustParseAddr("192.168.1.32")

// pair is the two controllers of the example, a client of the VIP, and a client in the role of Prometheus.
type pair struct {
	t          *testing.T
	nodes      []*lab.Host
	client     *lab.Client
	prometheus *lab.Client
	holders    *lab.Holders
}

func newPair(t *testing.T) *pair {
	t.Helper()
	root := labtest.Root(t, theRelease, lab.NodePackages()...)
	l := labtest.Lab(t)
	base, err := l.Directory(root)
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	agent := gotool.Agent(t)
	for i, r := range recipes(t) {
		h, err := l.AddHost(lab.HostConfig{Name: fmt.Sprintf("controller-%d", i+1), Base: base,
			Interfaces: []lab.Interface{{Name: "eth3", Network: "management"}, {Name: "eth4", Network: "public"}}})
		if err != nil {
			t.Fatal(err)
		}
		p.nodes = append(p.nodes, h)
		p.lay(h, r, agent, i+1)
		if err := h.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	p.holders = l.Follow(t.Context(), theVIP)
	t.Cleanup(p.holders.Stop)
	for _, h := range p.nodes {
		p.eventually("the system is up", func() error {
			out, _, err := h.Run(ctx, "systemctl", "is-system-running")
			if out = strings.TrimSpace(out); err == nil && out != "running" && out != "degraded" { // keepalived's user does not exist yet
				err = fmt.Errorf("%s is %s", h.Name, out)
			}
			return err
		})
		p.must(h, `mkdir -p /var/lib/ha-agent
			systemd-sysusers; systemd-tmpfiles --create
			systemctl enable --now systemd-networkd haproxy keepalived ha-agent
			systemctl restart haproxy keepalived`)
	}
	if p.client, err = l.AddClient(ctx, "user", "public", netip.MustParsePrefix("192.168.1.100/24")); err != nil {
		t.Fatal(err)
	}
	if p.prometheus, err = l.AddClient(ctx, "prometheus", "management", netip.MustParsePrefix("192.168.56.1/24")); err != nil {
		t.Fatal(err)
	}
	return p
}

// recipes returns the recipes of the controllers' machines, with metrics.
func recipes(t *testing.T) []recipe.Recipe {
	t.Helper()
	data, ok := examples.Get("controllers")
	if !ok {
		t.Fatal("there is no such example")
	}
	data = append(data, "\nagent: {metrics: \"node:9736\", allow: [192.168.56.0/24]}\n"...)
	s, problems := spec.Parse("controllers.yaml", data, spec.Sources{ReadFile: func(string) ([]byte, error) { return []byte("secret\n"), nil }})
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	s.VIPs[0].OnChange = &spec.OnChange{Command: onChange, Timeout: 5 * time.Second}
	s.Log.Target, s.Image.Packages = spec.LocalLog, nil // this root has no rsyslog, and no optional packages
	r, err := release.Get(theRelease)
	if err != nil {
		t.Fatal(err)
	}
	var all []recipe.Recipe
	for i := range s.Nodes {
		image, err := recipe.Image(s, r)
		if err != nil {
			t.Fatal(err)
		}
		own, err := recipe.Node(s, &s.Nodes[i], r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, recipe.Merge(image, own))
	}
	return all
}

// lay writes a node's files.
func (p *pair) lay(h *lab.Host, r recipe.Recipe, agent []byte, number int) {
	p.t.Helper()
	files := append(r.Files,
		recipe.File{Path: "/usr/bin/ha-agent", Mode: 0o755, Content: agent},
		recipe.File{Path: onChange, Mode: 0o755, Content: []byte("#!/bin/sh\nexit 0\n")},
		recipe.File{Path: "/etc/hostname", Mode: 0o644, Content: []byte(h.Name + "\n")},
		recipe.File{Path: "/etc/systemd/network/10-eth3.network", Mode: 0o644,
			Content: fmt.Appendf(nil, "[Match]\nName=eth3\n[Network]\nAddress=192.168.56.10%d/24\nIPv6AcceptRA=no\n", number)},
		recipe.File{Path: "/etc/systemd/network/10-eth4.network", Mode: 0o644,
			Content: []byte("[Match]\nName=eth4\n[Network]\nLinkLocalAddressing=no\n")})
	for _, f := range files {
		if err := h.WriteFile(f.Path, f.Mode, f.Content); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *pair) must(h *lab.Host, script string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	out, err := h.Must(ctx, "sh", "-euc", script)
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", h.Name, err, h.Logs(p.t.Context(), 60))
	}
	return out
}

// eventually waits until done returns nil.
func (p *pair) eventually(what string, done func() error) {
	p.t.Helper()
	eventually.Nil(p.t, limit, done, func() string { p.logs(); return what })
}

// logs prints the nodes' logs.
func (p *pair) logs() {
	for _, h := range p.nodes {
		out, _, _ := h.Run(p.t.Context(), "ha-agent", "status")
		p.t.Logf("%s:\n%s\n%s", h.Name, out, h.Logs(p.t.Context(), 60))
	}
}

// settle waits until exactly one node holds the VIP and stays the only holder, and returns the holder and the other node.
func (p *pair) settle() (holder, other *lab.Host) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), limit)
	defer cancel()
	name, err := p.holders.WaitOne(ctx, settled)
	if err != nil {
		p.logs()
		p.t.Fatal(err)
	}
	if p.nodes[0].Name == name {
		return p.nodes[0], p.nodes[1]
	}
	return p.nodes[1], p.nodes[0]
}

func (p *pair) status(h *lab.Host) (control.Status, error) {
	var s control.Status
	out, code, err := h.Run(p.t.Context(), "ha-agent", "status", "--json")
	if err == nil && code > 1 { // 1 means that the node is not healthy
		err = fmt.Errorf("ha-agent status: exit status %d\n%s", code, out)
	}
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	return s, err
}

// text returns the status as people see it.
func (p *pair) text(h *lab.Host) string {
	p.t.Helper()
	return p.must(h, "ha-agent status || [ $? = 1 ]")
}

// scrape returns what Prometheus gets from each node: "" if the node does not answer.
func (p *pair) scrape() []string {
	var pages []string
	for i := range p.nodes {
		ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
		status, body, err := p.prometheus.Get(ctx, fmt.Sprintf("http://192.168.56.10%d:9736/metrics", i+1))
		cancel()
		if err != nil || status != 200 {
			body = ""
		}
		pages = append(pages, body)
	}
	return pages
}

// scraped waits until the pages of both nodes meet a condition.
func (p *pair) scraped(what string, is func(pages []string) bool) []string {
	p.t.Helper()
	var pages []string
	p.eventually(what, func() error {
		if pages = p.scrape(); !is(pages) {
			return fmt.Errorf("the metrics are\n%s", strings.Join(pages, "\n"))
		}
		return nil
	})
	return pages
}
