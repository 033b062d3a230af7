package packages_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/deb"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/packages"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/test/cluster"
)

const hostSpec = `apiVersion: hapair/v1
cluster: alone
nodes:
  - {name: a, address: 192.168.56.101/24, interface: eth3}
  - {name: b, address: 192.168.56.102/24, interface: eth3}
vips: [{name: v, address: 192.168.56.32/24, interface: eth3}]
services:
  - {name: web, vip: v, port: 80, servers: [{name: w, address: 192.168.56.201, port: 80}]}
`

// TestPackagesOnAHost installs both packages with apt on a host with its own systemd, upgrades them, and removes and purges them:
// on all releases, because apt, dpkg and systemd differ. On noble it also makes the host a node with them.
func TestPackagesOnAHost(t *testing.T) {
	const whole = "noble"
	for _, name := range cluster.Sample(t, "noble", "jammy", "resolute", "bookworm", "trixie") {
		t.Run(name, func(t *testing.T) {
			h := host{startHost(t, name)}
			h.put(t, "/root/first", "0.1.0")
			h.put(t, "/root/second", "0.1.1")
			h.readme(t, "/root/first")
			h.apt(t, "install -y /root/first/*.deb")
			h.installed(t)
			if name == whole {
				h.bakes(t, name)
				h.serves(t)
			}
			h.upgrades(t, name == whole)
			h.removes(t)
			h.purges(t)
		})
	}
}

type host struct{ *lab.Host }

func startHost(t *testing.T, name string) *lab.Host {
	t.Helper()
	root := labtest.Root(t, name, lab.NodePackages()...)
	l := labtest.Lab(t)
	base, err := l.Directory(root)
	if err != nil {
		t.Fatal(err)
	}
	h, err := l.AddHost(lab.HostConfig{Name: "a", Base: base, Interfaces: []lab.Interface{{Name: "eth3", Network: "public"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"/etc/cloud/cloud-init.disabled": "",
		"/etc/netplan/eth3.yaml":         "network: {version: 2, ethernets: {eth3: {addresses: [192.168.56.101/24], accept-ra: false}}}\n",
		// empty, so masked: on resolute it waits for a name server, which the lab does not have
		"/etc/systemd/system/systemd-networkd-wait-online.service": "",
	} {
		if err := h.WriteFile(name, 0o600, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := h.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := h.WaitRunning(ctx); err != nil {
		t.Fatalf("%v\n%s", err, h.Logs(ctx, 100))
	}
	return h
}

func (h host) must(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := h.Must(ctx, "sh", "-euc", script)
	if err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, h.Logs(ctx, 60))
	}
	return out
}

// put copies the packages to the host, with the given version.
func (h host) put(t *testing.T, dir, version string) {
	t.Helper()
	tools := programs(t)
	agent, err := packages.Agent(tools.Agent)
	if err != nil {
		t.Fatal(err)
	}
	bake, err := packages.Bake(tools)
	if err != nil {
		t.Fatal(err)
	}
	h.must(t, "mkdir "+dir)
	for _, p := range []*deb.Package{agent, bake} {
		i := slices.IndexFunc(p.Control, func(f deb.Field) bool { return f.Name == "Version" })
		p.Control[i].Value = version
		var b bytes.Buffer
		if err := p.Write(&b); err != nil {
			t.Fatal(err)
		}
		if err := h.WriteFile(dir+"/"+p.FileName(), 0o644, b.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
}

// programs builds bake and ha-agent.
func programs(t *testing.T) packages.Tools {
	t.Helper()
	return packages.Tools{Bake: gotool.Bake(t), Agent: gotool.Agent(t), Shared: map[string][]byte{"/usr/share/man/man1/bake.1.gz": packages.Gzip([]byte(".TH BAKE 1\n"))}}
}

// apt runs a command of apt without network: the archives are not needed for what depends on haproxy and keepalived alone.
func (h host) apt(t *testing.T, command string) {
	t.Helper()
	t.Log(h.must(t, "DEBIAN_FRONTEND=noninteractive apt "+command+" 2>&1 </dev/null"))
}

// readme runs the commands that README.md shows for packages. What hapair-bake recommends is not installed, because the host has no
// network.
func (h host) readme(t *testing.T, dir string) {
	t.Helper()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```sh packages\n")
	block, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("README.md shows no commands for packages")
	}
	h.must(t, "cd "+dir+"\nexec </dev/null\n"+block)
}

func (h host) installed(t *testing.T) {
	t.Helper()
	h.must(t, `[ "$(dpkg-query -W -f '${db:Status-Abbrev}' ha-agent hapair-bake)" = "ii ii " ]
getent passwd hapair-check
[ "$(systemctl is-enabled ha-agent.service)" = enabled ]
bake version
ha-agent version
[ -e /run/ha-agent/haproxy.track ]
[ "$(sysctl -n net.ipv4.ip_nonlocal_bind)" = 1 ]
dpkg --verify ha-agent
systemctl cat keepalived.service | grep -q 'ha-agent guard keepalived'`)
}

// bakes runs bake as installed: it validates a spec, and writes the files of a node.
func (h host) bakes(t *testing.T, release string) {
	t.Helper()
	if err := h.WriteFile("/root/spec.yaml", 0o644, []byte(hostSpec)); err != nil {
		t.Fatal(err)
	}
	h.must(t, fmt.Sprintf("cd /root; bake validate spec.yaml --release %s; bake render spec.yaml -o rendered --release %[1]s", release))
}

// serves makes the host a node with the files, and waits until it holds the VIP and is healthy.
func (h host) serves(t *testing.T) {
	t.Helper()
	h.must(t, `cp -r /root/rendered/a/etc/. /etc/
chgrp haproxy /etc/haproxy/haproxy.cfg
systemctl daemon-reload
systemctl restart haproxy.service ha-agent.service keepalived.service`)
	h.healthy(t)
}

func (h host) healthy(t *testing.T) {
	t.Helper()
	eventually.Nil(t, time.Minute, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		out, err := h.Must(ctx, "ha-agent", "status")
		if err != nil {
			return err
		}
		holds, err := h.Holds(netip.MustParseAddr("192.168.56.32"))
		if err != nil || !holds {
			return fmt.Errorf("the node does not hold the VIP (%v):\n%s", err, out)
		}
		return nil
	})
}

// upgrades installs the second version over an edited conffile. keepalived must not notice.
func (h host) upgrades(t *testing.T, serves bool) {
	t.Helper()
	const state = "systemctl show -p MainPID --value "
	keepalived, agent := h.must(t, state+"keepalived.service"), h.must(t, state+"ha-agent.service")
	h.must(t, "echo '// edited' >>/etc/apt/apt.conf.d/60hapair")
	h.apt(t, "install -y /root/second/*.deb")
	h.must(t, "tail -n 1 /etc/apt/apt.conf.d/60hapair | grep -x '// edited'")
	if got := h.must(t, "dpkg-query -W -f '${Version}' ha-agent"); got != "0.1.1" {
		t.Errorf("version %s is installed", got)
	}
	if got := h.must(t, state+"keepalived.service"); got != keepalived {
		t.Error("the upgrade restarted keepalived")
	}
	if !serves {
		return // without agent.yaml the agent does not run
	}
	if got := h.must(t, state+"ha-agent.service"); got == agent {
		t.Error("the upgrade did not restart the agent")
	}
	h.healthy(t)
}

// removes checks that haproxy runs on after the packages are removed, as its own package has it.
func (h host) removes(t *testing.T) {
	t.Helper()
	h.apt(t, "remove -y ha-agent hapair-bake")
	h.must(t, `[ ! -e /usr/bin/ha-agent ]
[ ! -e /usr/bin/bake ]
[ ! -e /usr/lib/hapair ]
[ -e /etc/sysctl.d/60-hapair.conf ]
systemctl restart haproxy.service
! systemctl cat keepalived.service haproxy.service | grep -q ha-agent
! systemctl is-active --quiet ha-agent.service`)
}

func (h host) purges(t *testing.T) {
	t.Helper()
	// The drop-in of an interface came with the rendered files.
	h.apt(t, "purge -y ha-agent") // hapair-bake has no conffiles: apt does not know it any more
	left := h.must(t, `find /etc /usr /var/lib -xdev -path /etc/systemd/network -prune -o '(' -name '*hapair*' -o -name '*ha-agent*' ')' -print`)
	if left != "" {
		t.Errorf("after the purge there are\n%s", left)
	}
}
