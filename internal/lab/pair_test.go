package lab_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
)

const haproxyCfg = `global
  stats socket /run/haproxy/admin.sock mode 660 level admin
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend f
  bind 192.168.1.32:5000
  default_backend b
backend b
  server a 192.168.56.101:5000 check inter 200ms
  server b 192.168.56.102:5000 check inter 200ms
`

const keepalivedConf = `vrrp_instance VI_public {
  state BACKUP
  nopreempt
  interface eth3
  virtual_router_id 32
  priority %d
  advert_int 0.1
  version 3
  unicast_src_ip 192.168.56.%d
  unicast_peer {
    192.168.56.%d
  }
  track_interface {
    eth4
  }
  virtual_ipaddress {
    192.168.1.32/24 dev eth4
  }
}
`

var vip = netip.MustParseAddr("192.168.1.32")

// seed writes the seed that makes a root the host number n of a pair. It is written by hand, because the lab must not import
// the packages that generate seeds.
func seed(t *testing.T, name string, n int) string {
	dir := t.TempDir()
	files := map[string]string{
		"meta-data": "instance-id: " + name + "\nlocal-hostname: " + name + "\n",
		"user-data": fmt.Sprintf(`#cloud-config
write_files:
  - {path: /etc/haproxy/haproxy.cfg, content: %q}
  - {path: /etc/keepalived/keepalived.conf, content: %q}
  - {path: /etc/sysctl.d/60-lab.conf, content: "net.ipv4.ip_nonlocal_bind = 1\n"}
bootcmd: [[sysctl, -w, net.ipv4.ip_nonlocal_bind=1]]
`, haproxyCfg, fmt.Sprintf(keepalivedConf, 200-n, 100+n, 103-n)),
		"network-config": fmt.Sprintf(`version: 2
ethernets:
  eth3: {addresses: [192.168.56.%d/24]}
  eth4: {optional: true}
`, 100+n),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func answer(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
}

// pair is two hosts with haproxy and keepalived configured by hand, and a client.
type pair struct {
	lab     *lab.Lab
	hosts   map[string]*lab.Host
	client  *lab.Client
	holders *lab.Holders
}

func newPair(t *testing.T, release string) *pair {
	root := labtest.Root(t, release, lab.NodePackages()...)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	p := &pair{lab: labtest.Lab(t), hosts: map[string]*lab.Host{}}
	base, err := p.lab.Directory(root)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for i, name := range []string{"a", "b"} {
		h, err := p.lab.AddHost(lab.HostConfig{Name: name, Base: base, Seed: seed(t, name, i+1),
			Interfaces: []lab.Interface{{Name: "eth3", Network: "management"}, {Name: "eth4", Network: "public"}}})
		if err != nil {
			t.Fatal(err)
		}
		p.hosts[name] = h
		if err := h.Serve(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, 56, byte(101 + i)}), 5000), answer(name)); err != nil {
			t.Fatal(err)
		}
		if err := h.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	p.holders = p.lab.Follow(t.Context(), vip)
	t.Cleanup(p.holders.Stop)
	for name, h := range p.hosts {
		if err := h.WaitRunning(ctx); err != nil {
			t.Fatalf("%v\n%s", err, h.Logs(ctx, 100))
		}
		t.Logf("%s %s is running %v after the first start", release, name, time.Since(start).Round(time.Millisecond))
	}
	if p.client, err = p.lab.AddClient(ctx, "c", "public", netip.MustParsePrefix("192.168.1.100/24")); err != nil {
		t.Fatal(err)
	}
	return p
}

// fault does something to the holder of the VIP, and waits until the other host has the VIP and the client is served again.
func (p *pair) fault(t *testing.T, name string, do func(ctx context.Context, holder *lab.Host) error) (holder, other *lab.Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	const url = "http://192.168.1.32:5000/"
	who, err := p.holders.WaitOne(ctx, 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	holder, other = p.hosts[who], p.hosts[strings.Trim("ab", who)]
	if _, err := p.client.WaitAnswer(ctx, url); err != nil {
		t.Fatalf("before %s: %v\n%s", name, err, holder.Logs(ctx, 50))
	}
	w := p.client.WatchFresh(ctx, url, 5*time.Millisecond, 500*time.Millisecond)
	defer w.Stop()
	start := time.Now()
	if err := do(ctx, holder); err != nil {
		t.Fatal(err)
	}
	if err := p.holders.WaitHolder(ctx, other.Name, 0); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, other.Logs(ctx, 50))
	}
	moved := time.Since(start)
	if _, err := p.client.WaitAnswer(ctx, url); err != nil {
		t.Fatalf("after %s: %v\n%s", name, err, other.Logs(ctx, 50))
	}
	r := w.Stop()
	t.Logf("%s: VIP moved after %v, client without an answer for %v", name, moved.Round(time.Millisecond), r.Longest.Duration().Round(time.Millisecond))
	return holder, other
}

// answers waits until both servers have answered through the VIP.
func (p *pair) answers(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for seen := map[string]bool{}; !seen["a"] || !seen["b"]; {
		body, err := p.client.WaitAnswer(ctx, "http://192.168.1.32:5000/")
		if err != nil {
			t.Fatalf("answers from %v only: %v", seen, err)
		}
		seen[body] = true
	}
}

func TestPair(t *testing.T) {
	p := newPair(t, "trixie")
	back := func(h *lab.Host) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := h.WaitRunning(ctx); err != nil {
			t.Fatalf("%v\n%s", err, h.Logs(ctx, 100))
		}
	}
	if _, err := p.holders.WaitOne(t.Context(), 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	p.answers(t)
	h, _ := p.fault(t, "cut", func(_ context.Context, h *lab.Host) error { return h.Cut("eth3") })
	if err := h.Heal("eth3"); err != nil {
		t.Fatal(err)
	}
	h, _ = p.fault(t, "kill", func(_ context.Context, h *lab.Host) error { h.Kill(); return nil })
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	back(h)
	h, _ = p.fault(t, "stop", func(ctx context.Context, h *lab.Host) error { return h.Stop(ctx) })
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	back(h)
	h, _ = p.fault(t, "reboot", func(ctx context.Context, h *lab.Host) error { return h.Reboot(ctx) })
	back(h)
	p.answers(t)
}
