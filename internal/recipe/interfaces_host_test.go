package recipe_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/testing/eventually"
	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/test/cluster"
)

// interfaceSpec returns a spec with interfaces as on a real machine, for the nodes a and b and their VIPs.
func interfaceSpec(t *testing.T, a string) *spec.Spec {
	t.Helper()
	return parseBytes(t, "spec.yaml", fmt.Appendf(nil, `
apiVersion: hapair/v1
cluster: alone
nodes:
  - {name: a, address: 192.168.56.101/24, %s}
  - {name: b, address: 192.168.56.102/24, interface: {name: eth3, mac: 52:54:00:00:00:13}, interfaces: [{name: eth4, mac: 52:54:00:00:00:14}]}
vips: [{name: v, address: 192.168.1.32/24, interface: eth4}]
services:
  - {name: web, vip: v, port: 80, servers: [{name: w, address: 192.168.56.201, port: 80}]}
`, a))
}

// TestVIPStaysForEveryNetworkID restarts systemd-networkd on nodes whose network-config has interfaces by ID instead of by
// name. The drop-in must be named after the ID, as netplan's file is.
func TestVIPStaysForEveryNetworkID(t *testing.T) {
	for _, name := range cluster.Span(t) {
		for what, node := range map[string]struct{ spec, id string }{
			"by MAC": {"interface: {name: eth3, mac: '52:54:00:12:34:03'}, interfaces: [{name: eth4, mac: '52:54:00:12:34:04'}]", "eth4"},
			"a network of its own": {`interface: eth3, network: {version: 2, ethernets: {
				management: {match: {macaddress: '52:54:00:12:34:03'}, set-name: eth3, addresses: [192.168.56.101/24], accept-ra: false},
				service: {match: {macaddress: '52:54:00:12:34:04'}, set-name: eth4, optional: true, accept-ra: false}}}`, "service"},
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				r, err := release.Get(name)
				if err != nil {
					t.Fatal(err)
				}
				s := interfaceSpec(t, strings.ReplaceAll(node.spec, "\t", " "))
				h := bootHost(t, s, &s.Nodes[0], r)
				eventually.True(t, patience, "it holds the VIP", h.holdsVIP)
				if out := h.must(t, "cat", "/sys/class/net/eth4/address"); strings.TrimSpace(out) != "52:54:00:12:34:04" {
					t.Errorf("the host in the lab has the MAC %s", out)
				}
				for range 2 {
					h.must(t, "systemctl", "restart", "systemd-networkd")
				}
				h.must(t, "networkctl", "reload")
				h.steadilyHoldsVIP(t)
				out, _, err := h.Run(deadline(t), "ha-agent", "verify")
				if want := "ok  systemd-networkd leaves the VIPs on eth4 alone: /etc/systemd/network/10-netplan-" + node.id + ".network.d/hapair.conf"; err != nil || !strings.Contains(out, want) {
					t.Errorf("verify does not report %q: %v\n%s", want, err, out)
				}
			})
		}
	}
}

// TestNodeWithWrongInterfacesReportsThem boots a golden node on a machine with other interface names. cloud-init must end
// with an error, and its log must contain the reason. The tests in test/e2e check that a machine with the right names has no
// error.
func TestNodeWithWrongInterfacesReportsThem(t *testing.T) {
	// In the lab's root of Ubuntu, which lacks a package, cloud-init has an error of its own.
	for _, name := range cluster.Sample(t, "trixie", "bookworm") {
		t.Run(name, func(t *testing.T) {
			r, err := release.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			h := goldenHost(t, interfaceSpec(t, "interface: eth3"), r, [2]string{"ens3", "ens4"})
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			status := ""
			if err := poll.Nil(ctx, time.Second, func() error {
				out, _, err := h.Run(ctx, "cloud-init", "status")
				if status = strings.TrimSpace(out); err == nil && status != "status: done" && status != "status: error" {
					err = fmt.Errorf("cloud-init has not finished: %s", status)
				}
				return err
			}); err != nil {
				t.Fatalf("%v\n%s", err, h.Logs(t.Context(), 60))
			}
			// The console of a container cannot be read. A test of the script checks what is written to it.
			log, _, err := h.Run(ctx, "cat", "/var/log/cloud-init-output.log")
			if err != nil {
				t.Fatal(err)
			}
			const said = "hapair: this node failed verification"
			if status != "status: error" || !strings.Contains(log, said) || !strings.Contains(log, "there is no interface eth3") {
				t.Errorf("cloud-init reports %q, and its log says:\n%s", status, log)
			}
		})
	}
}

// goldenHost starts a host with the image's recipe and the first node's seed.
func goldenHost(t *testing.T, s *spec.Spec, r release.Release, names [2]string) *lab.Host {
	t.Helper()
	image, err := recipe.Image(s, r)
	if err != nil {
		t.Fatal(err)
	}
	node, err := recipe.Node(s, &s.Nodes[0], r)
	if err != nil {
		t.Fatal(err)
	}
	cloud, err := cloudinit.GetCloud(cloudinit.NoCloud)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := cloudinit.Generate(node, cloudinit.Options{Image: cloudinit.Golden, Cloud: cloud})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range seed.Files() {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := labtest.Lab(t)
	base, err := l.Directory(labtest.Root(t, r.Name, lab.NodePackages()...))
	if err != nil {
		t.Fatal(err)
	}
	h, err := l.AddHost(lab.HostConfig{Name: "a", Base: base, Seed: dir,
		Interfaces: []lab.Interface{{Name: names[0], Network: "management"}, {Name: names[1], Network: "public"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range image.Files {
		if err := h.WriteFile(f.Path, f.Mode, f.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.WriteFile(image.Agent, 0o755, gotool.Agent(t)); err != nil {
		t.Fatal(err)
	}
	for _, u := range image.Units {
		if err := h.WriteFile("/etc/systemd/system/multi-user.target.d/"+u.Name+".conf", 0o644, []byte("[Unit]\nWants="+u.Name+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	// A node without its address would wait here for two minutes.
	const brief = "[Service]\nExecStart=\nExecStart=/usr/lib/systemd/systemd-networkd-wait-online --timeout=10\n"
	if err := h.WriteFile("/etc/systemd/system/systemd-networkd-wait-online.service.d/test.conf", 0o644, []byte(brief)); err != nil {
		t.Fatal(err)
	}
	if err := h.Start(deadline(t)); err != nil {
		t.Fatal(err)
	}
	return h
}
