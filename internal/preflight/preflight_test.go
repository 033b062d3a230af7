package preflight

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

const pair = `apiVersion: hapair/v1
cluster: c
nodes:
  - {name: a, address: 192.0.2.1/24, interface: eth0}
  - {name: b, address: 192.0.2.2/24, interface: eth0}
vips: [{name: v, address: 192.0.2.10/24}]
services:
  - {name: s, vip: v, port: 80, servers: [{name: w, address: 192.0.2.20}]}
`

func options(t *testing.T, releaseName, cloud string) Options {
	t.Helper()
	r, err := release.Get(releaseName)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cloudinit.GetCloud(cloud)
	if err != nil {
		t.Fatal(err)
	}
	return Options{r, c}
}

// TestRefused checks the positions and messages of problems from later stages. Text appended to pair begins on line 9.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		more, release, cloud string
		want                 []string // line:column severity path: part of the message
	}{
		"nothing":             {"", "", "", nil},
		"a key of hapair's":   {"cloud_config: {hostname: x}", "", "", []string{"9:26 error cloud_config.hostname: hapair sets it"}},
		"a refused key":       {"cloud_config:\n  timezone: UTC\n  network: {a: b}", "", "", []string{"11:12 error cloud_config.network: cannot set"}},
		"not a list":          {"cloud_config: {runcmd: x}", "", "", []string{"9:24 error cloud_config.runcmd: must be a list"}},
		"a file of hapair's":  {"cloud_config:\n  write_files:\n  - {path: /a}\n  - {path: /etc/keepalived/../haproxy/haproxy.cfg}", "", "", []string{"12:5 error cloud_config.write_files[1]: hapair writes it"}},
		"a user of hapair's":  {"cloud_config: {users: [{name: ops}]}\naccess: {users: [{name: ops, ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIcvOWHm2ObLmJ1cGOsfuR7eGdNcp6k5QZ4jXkm2V2Pp]}]}", "", "", []string{"9:24 error cloud_config.users[0]: cannot write \"ops\": hapair writes it"}},
		"several":             {"cloud_config: {hostname: x, network: y}", "", "", []string{"9:26 error cloud_config.hostname", "9:38 error cloud_config.network"}},
		"a removal":           {"cloud_config: {packages: [jq, sudo-]}", "", "", []string{"9:31 error cloud_config.packages[1]: not the name of a package"}},
		"a package's version": {"cloud_config: {packages: [jq=1.7, [curl, '8'], g++]}", "", "", nil},
		"a stock image's key": {"cloud_config: {package_update: false}", "", "", []string{"9:32 warning cloud_config.package_update: --image stock"}},
		"a stock image's file": {"cloud_config: {write_files: [{path: /etc/sysctl.d/60-hapair.conf}]}", "", "", []string{
			"9:30 warning cloud_config.write_files[0]: --image stock"}},
		"another release":     {"", "jammy", "", []string{"8:42 error services[0].balance: needs haproxy 2.6"}},
		"a missing password":  {"stats: {user: u, password: {env: NO_SUCH}}\ncloud_config: {fqdn: x, hostname: y}", "", "", []string{"10:35 error cloud_config.hostname"}},
		"ec2":                 {"", "", "ec2", []string{"6:7 warning vips: gratuitous ARP"}},
		"gce by multicast":    {"vrrp: {transport: multicast}", "", "gce", []string{"6:7 warning vips: gratuitous ARP", "9:19 warning vrrp.transport: do not carry multicast"}},
		"azure":               {"", "", "azure", []string{"6:7 warning vips: If VRRP does not reach"}},
		"hetzner":             {"", "", "hetzner", []string{"6:7 warning vips: gratuitous ARP"}},
		"openstack":           {"", "", "openstack", []string{"6:7 warning vips: allowed address of the node's port"}},
		"too large for ec2":   {"cloud_config: {write_files: [{path: /a, content: \"" + noise(40000) + "\"}]}", "", "ec2", []string{"6:7 warning vips", "4:5 error nodes[0]: more than the limit of 16384", "5:5 error nodes[1]: more than the limit of 16384"}},
		"text alone on gce":   {"cloud_config: {timezone: UTC}", "", "gce", []string{"6:7 warning vips"}},
		"vmware has no limit": {"", "", "vmware", nil},
	} {
		t.Run(name, func(t *testing.T) {
			text := pair
			if c.release != "" {
				text = strings.Replace(text, "port: 80,", "port: 80, balance: hash src,", 1)
			}
			s, problems := spec.Parse("spec.yaml", []byte(text+c.more+"\n"), spec.Sources{})
			if problems.HasErrors() {
				t.Fatal(problems)
			}
			releaseName, cloud := c.release, c.cloud
			if releaseName == "" {
				releaseName = s.Image.Release
			}
			if cloud == "" {
				cloud = cloudinit.NoCloud
			}
			got := Check(s, options(t, releaseName, cloud))
			if len(got) != len(c.want) {
				t.Fatalf("got %v\nwant %q", got, c.want)
			}
			for _, want := range c.want {
				if !found(got, want) {
					t.Errorf("got %v\nwant %s", got, want)
				}
			}
		})
	}
}

func found(problems diag.Problems, want string) bool {
	head, message, _ := strings.Cut(want, ": ")
	for _, p := range problems {
		if fmt.Sprintf("%d:%d %s %s", p.Line, p.Column, p.Severity, p.Path) == head && strings.Contains(p.Message, message) && p.File == "spec.yaml" {
			return true
		}
	}
	return false
}

// noise returns text that does not compress well.
func noise(n int) string {
	var b strings.Builder
	for x := uint32(1); b.Len() < n; {
		x = x*1664525 + 1013904223
		b.WriteByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[x>>26])
	}
	return b.String()
}

func TestExamples(t *testing.T) {
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(examples) == 0 {
		t.Fatalf("found no examples: %v", err)
	}
	for _, path := range examples {
		s, problems := spec.Load(path)
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		if got := Check(s, options(t, s.Image.Release, cloudinit.NoCloud)); len(got) > 0 {
			t.Errorf("%s: problems %v, want none", path, got)
		}
	}
}
