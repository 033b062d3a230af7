package afternoon

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
)

// mostMove is the longest time that clients may get no answer while the VIP moves: see docs/adopt.md.
const mostMove = 10 * time.Second

const (
	network = "servers"
	site    = "http://192.168.56.10/"
)

var addresses = map[string]string{"lb1": "192.168.56.11", "lb2": "192.168.56.12"}

// haproxyConfig is a haproxy.cfg as tutorials have it.
const haproxyConfig = `global
    log /dev/log local0
    user haproxy
    group haproxy
    daemon
    stats socket /run/haproxy/admin.sock mode 660 level admin

defaults
    log global
    mode http
    option httplog
    option dontlognull
    timeout connect 5000
    timeout client 50000
    timeout server 50000

# the shop
frontend www
    bind 192.168.56.10:80
    default_backend shop

backend shop
    balance roundrobin
    option httpchk GET /health
    server web1 192.168.56.21:8080 check
    server web2 192.168.56.22:8080 check
`

// keepalivedConfig is a keepalived.conf as tutorials have it; state and priority differ between the nodes.
const keepalivedConfig = `vrrp_script chk_haproxy {
    script "pgrep haproxy"
    interval 2
    weight 2
}

vrrp_instance VI_1 {
    interface eth0
    state %s
    virtual_router_id 51
    priority %d
    authentication {
        auth_type PASS
        auth_pass 1111
    }
    virtual_ipaddress {
        192.168.56.10/24
    }
    track_script {
        chk_haproxy
    }
}
`

// pair is the machines in the lab: the old ones, those that take their places, and servers and clients.
type pair struct {
	lab     *lab.Lab
	key     string // with which the operator logs in
	client  *lab.Client
	watch   *lab.Watch
	began   time.Time
	holders *lab.Holders
	now     map[string]*lab.Host // by name: the machine that is on
}

// newPair boots the old pair.
func newPair(t *testing.T, key string) *pair {
	t.Helper()
	root := labtest.Root(t, "noble", lab.NodePackages()...)
	p := &pair{lab: labtest.Lab(t), key: key, now: map[string]*lab.Host{}}
	base, err := p.lab.Directory(root)
	if err != nil {
		t.Fatal(err)
	}
	health := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "shop\n") })
	for _, server := range []string{"192.168.56.21/24", "192.168.56.22/24"} {
		if err := p.lab.Serve(network, netip.MustParsePrefix(server), 8080, health); err != nil {
			t.Fatal(err)
		}
	}
	if p.client, err = p.lab.AddClient(t.Context(), "users", network, netip.MustParsePrefix("192.168.56.200/24")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for i, state := range []string{"MASTER", "BACKUP"} {
		p.old(ctx, t, base, fmt.Sprintf("lb%d", i+1), fmt.Sprintf(keepalivedConfig, state, 101-i))
	}
	p.holders = p.lab.Follow(t.Context(), netip.MustParseAddr("192.168.56.10"))
	t.Cleanup(p.holders.Stop)
	if err := p.holders.WaitHolder(ctx, "lb1", 6*time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := p.client.WaitAnswer(ctx, site); err != nil {
		t.Fatal(err)
	}
	return p
}

// old boots a machine that somebody set up by hand.
func (p *pair) old(ctx context.Context, t *testing.T, base *lab.Base, name, keepalived string) {
	t.Helper()
	h, err := p.lab.AddHost(lab.HostConfig{Name: name, Base: base, Interfaces: []lab.Interface{{Name: "eth0", Network: network}}})
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{
		"/etc/hostname":                   name + "\n",
		"/etc/hosts":                      "127.0.0.1 localhost\n127.0.1.1 " + name + "\n",
		"/etc/cloud/cloud-init.disabled":  "",
		"/etc/netplan/eth0.yaml":          "network: {version: 2, ethernets: {eth0: {addresses: [" + addresses[name] + "/24], accept-ra: false}}}\n",
		"/etc/sysctl.d/vip.conf":          "net.ipv4.ip_nonlocal_bind = 1\n",
		"/etc/haproxy/haproxy.cfg":        haproxyConfig,
		"/etc/keepalived/keepalived.conf": keepalived,
	} {
		if err := h.WriteFile(file, 0o600, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := h.WaitRunning(ctx); err != nil {
		t.Fatalf("%v\n%s", err, h.Logs(ctx, 40))
	}
	const login = `useradd --create-home --shell /bin/bash ops
echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops
install -d -o ops -m 700 ~ops/.ssh
echo "$1" >~ops/.ssh/authorized_keys
chown ops ~ops/.ssh/authorized_keys`
	if _, err := h.Must(ctx, "bash", "-euc", login, "bash", p.key); err != nil {
		t.Fatal(err)
	}
	p.now[name] = h
}

// replace switches a machine off, and boots another one from the image and the seed that the operator made.
func (p *pair) replace(ctx context.Context, o *operator, name string) error {
	if p.watch == nil {
		p.began, p.watch = time.Now(), p.client.WatchFresh(ctx, site, 5*time.Millisecond, 500*time.Millisecond)
	}
	if err := p.now[name].Stop(ctx); err != nil {
		return err
	}
	base, err := p.lab.Image(ctx, filepath.Join(o.root, "root/lb.qcow2"))
	if err != nil {
		return err
	}
	h, err := p.lab.AddHost(lab.HostConfig{Name: name + "-new", Base: base, Seed: filepath.Join(o.root, "root/seeds", name, "seed.iso"),
		Interfaces: []lab.Interface{{Name: "eth0", Network: network}}})
	if err != nil {
		return err
	}
	p.now[name] = h
	if err := h.Start(ctx); err != nil {
		return err
	}
	return h.WaitRunning(ctx)
}

// clients returns what clients noticed since the first machine was replaced.
func (p *pair) clients() (string, error) {
	r := p.watch.Stop()
	requests := r.Failures
	for _, n := range r.Answers {
		requests += n
	}
	two := p.holders.Overlap(p.began)
	text := fmt.Sprintf("%d requests, %d lost; no answer for %.1f s at most; two holders for %d ms\n", requests, r.Failures, r.Longest.Duration().Seconds(), two.Milliseconds())
	switch {
	case r.Longest.Duration() > mostMove:
		return text, fmt.Errorf("clients got no answer for %v, want at most %v", r.Longest.Duration(), mostMove)
	case two > 0:
		return text, fmt.Errorf("the VIP had two holders for %v", two)
	}
	return text, nil
}
