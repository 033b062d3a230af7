package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/units"
)

// machine returns a machine whose programs all report success, and whose files are those of an image.
func machine(t *testing.T) *Machine {
	t.Helper()
	m := &Machine{
		Root: t.TempDir(), Timeout: 5 * time.Second,
		Run: func(_ context.Context, name string, args ...string) (validator.Result, error) {
			switch name {
			case "dpkg-query":
				return validator.Result{Output: "installed 1.2.3"}, nil
			case "systemctl":
				return validator.Result{Output: map[string]string{"is-enabled": "enabled", "is-active": "active"}[args[0]] + "\n"}, nil
			}
			return validator.Result{}, nil
		},
		Addresses: func() ([]vip.Held, error) { return nil, nil },
		Hostname:  func() (string, error) { return "controller-1.example", nil },
		Mark:      "/var/lib/ha-agent/maintenance",
		Check:     func(string) error { return nil },
		Drift:     func(context.Context) ([]string, error) { return nil, nil },
		States:    func(context.Context) (map[string]string, error) { return nil, errors.New("no daemon") },
	}
	for _, f := range units.All(units.Features{}) {
		put(t, m, f.Path, string(f.Content), f.Mode)
	}
	put(t, m, "/etc/os-release", "NAME=\"Debian\"\nVERSION_CODENAME=trixie\n", 0o644)
	put(t, m, wellknown.Agent, "x", 0o755)
	put(t, m, "/etc/passwd", "root:x:0:0::/root:/bin/bash\nhapair-check:x:990:990::/nonexistent:/usr/sbin/nologin\n", 0o644)
	put(t, m, wellknown.SysctlConfig, "# both\nnet.ipv4.ip_nonlocal_bind = 1\n-net/ipv6/ip_nonlocal_bind=1\n", 0o644)
	put(t, m, wellknown.HAProxyConfig, "global\n  log 10.0.0.9 local0\n", 0o640)
	put(t, m, wellknown.KeepalivedConfig, "global_defs {\n}\n", 0o600)
	return m
}

func put(t *testing.T, m *Machine, path, content string, mode fs.FileMode) {
	t.Helper()
	p := m.path(path)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, mode); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, m *Machine, path string) {
	t.Helper()
	if err := os.Remove(m.path(path)); err != nil {
		t.Fatal(err)
	}
}

// wrong returns the steps that failed.
func wrong(rs Results) []string {
	var all []string
	for _, r := range rs {
		if !r.OK {
			all = append(all, r.What+": "+r.Why)
		}
	}
	return all
}

func TestImage(t *testing.T) {
	needs.Lab(t)
	tests := map[string]struct {
		spoil func(t *testing.T, m *Machine)
		want  string // text of the one failed step; empty if all succeed
	}{
		"an image": {func(*testing.T, *Machine) {}, ""},
		"a binary that others may change": {func(t *testing.T, m *Machine) { put(t, m, wellknown.Agent, "x", 0o775) },
			"keepalived would not run the check"},
		"no binary": {func(t *testing.T, m *Machine) { remove(t, m, wellknown.Agent) }, "/usr/bin/ha-agent does not exist"},
		"no user":   {func(t *testing.T, m *Machine) { put(t, m, "/etc/passwd", "root:x:0:0::/:/bin/sh\n", 0o644) }, "is not in /etc/passwd"},
		"a login":   {func(t *testing.T, m *Machine) { put(t, m, "/etc/passwd", "hapair-check:x:9:9::/:/bin/sh\n", 0o644) }, "its shell is"},
		"sysctl of v4": {func(t *testing.T, m *Machine) {
			put(t, m, wellknown.SysctlConfig, "net.ipv4.ip_nonlocal_bind=1\n", 0o644)
		}, "ipv6"},
		"an agent.yaml": {func(t *testing.T, m *Machine) { put(t, m, wellknown.AgentConfig, "x", 0o644) }, "/etc/ha-agent/agent.yaml exists"},
		"a router_id": {func(t *testing.T, m *Machine) {
			put(t, m, wellknown.KeepalivedConfig, "global_defs {\nrouter_id n\n}\n", 0o600)
		},
			"has router_id n"},
		"an instance": {func(t *testing.T, m *Machine) { put(t, m, wellknown.KeepalivedConfig, "vrrp_instance V {\n}\n", 0o600) }, "has vrrp_instance V"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := machine(t)
			tt.spoil(t, m)
			got := wrong(m.Image(t.Context()))
			if tt.want == "" && got != nil || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
				t.Fatalf("got %q, want one with %q", got, tt.want)
			}
		})
	}
}

func TestImageReportsMissingPackagesAndUnits(t *testing.T) {
	m := machine(t)
	m.Run = func(_ context.Context, name string, args ...string) (validator.Result, error) {
		switch {
		case name == "dpkg-query" && args[len(args)-1] == "haproxy":
			return validator.Result{Status: 1, Output: "dpkg-query: no packages found"}, nil
		case name == "dpkg-query":
			return validator.Result{Output: "config-files 1.2"}, nil
		case name == "systemctl":
			return validator.Result{Status: 1, Output: "a warning\ndisabled\n"}, nil
		}
		return validator.Result{Status: 1, Output: "[ALERT] wrong\n"}, nil
	}
	got := strings.Join(wrong(m.Image(t.Context())), "\n")
	for _, want := range []string{"haproxy is installed: it is not installed", "keepalived is installed: dpkg reports its state as config-files",
		"ha-agent.service is enabled: systemctl reports: disabled", "haproxy.cfg is valid: [ALERT] wrong"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
}

// nodeOf turns the machine into a node that listens on a free port.
func nodeOf(t *testing.T, m *Machine) *config.Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	at := l.Addr().(*net.TCPAddr).AddrPort()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "HTTP/1.0 401 Unauthorized\r\n\r\n")
			c.Close()
		}
	}()
	tcp, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	put(t, m, "/proc/net/tcp", string(tcp), 0o644)
	put(t, m, "/proc/sys/net/ipv4/ip_nonlocal_bind", "1\n", 0o644)
	put(t, m, wellknown.KeepalivedConfig, "global_defs {\nrouter_id controller_1\n}\n", 0o600)
	put(t, m, wellknown.AgentConfig, "x", 0o644)
	put(t, m, "/sys/class/net/eth4/ifindex", "7\n", 0o444)
	put(t, m, "/run/systemd/netif/links/7", "# private\nADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-netplan-uplink.network\n", 0o644)
	dropIn := units.Network("10-netplan-uplink.network")
	put(t, m, dropIn.Path, string(dropIn.Content), dropIn.Mode)
	return &config.Config{
		Node:       "controller_1",
		Release:    "trixie",
		HAProxy:    config.HAProxy{Config: wellknown.HAProxyConfig, Unit: "haproxy.service", Stats: &config.Stats{Address: at}},
		Keepalived: config.Keepalived{Config: wellknown.KeepalivedConfig, Unit: "keepalived.service"},
		Sysctl:     config.Sysctl{File: wellknown.SysctlConfig},
		VIPs: []config.VIP{{Name: "public", Interface: "eth4", Instances: []string{"VI_public"},
			Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}},
		Listeners: []config.Listener{{Service: "keystone", Address: at}},
	}
}

const groupConf = "global_defs {\nrouter_id controller_1\n}\nvrrp_sync_group edge {\n  group {\n    VI_a\n    VI_b\n  }\n}\n"

func TestNode(t *testing.T) {
	needs.Lab(t)
	held := func() ([]vip.Held, error) {
		return []vip.Held{{Interface: "eth4", Address: netip.MustParseAddr("192.0.2.1")}}, nil
	}
	state := func(s string) func(context.Context) (map[string]string, error) {
		return func(context.Context) (map[string]string, error) { return map[string]string{"VI_public": s}, nil }
	}
	tests := map[string]struct {
		spoil func(t *testing.T, m *Machine, c *config.Config)
		want  string
	}{
		"a backup": {func(*testing.T, *Machine, *config.Config) {}, ""},
		"a master": {func(_ *testing.T, m *Machine, _ *config.Config) { m.Addresses, m.States = held, state("MASTER") }, ""},
		"a master without the VIP": {func(_ *testing.T, m *Machine, _ *config.Config) { m.States = state("MASTER") },
			"keepalived is MASTER, but the kernel has only"},
		"a backup with the VIP": {func(_ *testing.T, m *Machine, _ *config.Config) { m.Addresses, m.States = held, state("BACKUP") },
			"keepalived is not MASTER, but the kernel has"},
		"a group that is together": {func(t *testing.T, m *Machine, _ *config.Config) {
			put(t, m, wellknown.KeepalivedConfig, groupConf, 0o600)
			m.States = func(context.Context) (map[string]string, error) {
				return map[string]string{"VI_a": "BACKUP", "VI_b": "FAULT"}, nil
			}
		}, ""},
		"a group that is not together": {func(t *testing.T, m *Machine, _ *config.Config) {
			put(t, m, wellknown.KeepalivedConfig, groupConf, 0o600)
			m.States = func(context.Context) (map[string]string, error) {
				return map[string]string{"VI_a": "MASTER", "VI_b": "BACKUP"}, nil
			}
		}, "the VIPs of group edge are together: VI_a are MASTER, but VI_b are not"},
		"a command": {func(t *testing.T, m *Machine, c *config.Config) {
			put(t, m, "/usr/local/sbin/eip", "#!/bin/sh\n", 0o755)
			c.VIPs[0].OnChange = &config.OnChange{Command: "/usr/local/sbin/eip --id 7"}
		}, ""},
		"a command that is missing": {func(_ *testing.T, _ *Machine, c *config.Config) {
			c.VIPs[0].OnChange = &config.OnChange{Command: "/usr/local/sbin/eip --id 7"}
		}, "/usr/local/sbin/eip does not exist"},
		"a command that others can change": {func(t *testing.T, m *Machine, c *config.Config) {
			put(t, m, "/usr/local/sbin/eip", "#!/bin/sh\n", 0o777)
			c.VIPs[0].OnChange = &config.OnChange{Command: "/usr/local/sbin/eip"}
		}, "others than root can change /usr/local/sbin/eip"},
		"a command that is no program": {func(t *testing.T, m *Machine, c *config.Config) {
			put(t, m, "/usr/local/sbin/eip", "#!/bin/sh\n", 0o644)
			c.VIPs[0].OnChange = &config.OnChange{Command: "/usr/local/sbin/eip"}
		}, "/usr/local/sbin/eip is not an executable file"},
		"not in force": {func(t *testing.T, m *Machine, _ *config.Config) {
			put(t, m, "/proc/sys/net/ipv4/ip_nonlocal_bind", "0\n", 0o644)
		}, "net.ipv4.ip_nonlocal_bind is 0"},
		"another router_id": {func(t *testing.T, m *Machine, _ *config.Config) {
			put(t, m, wellknown.KeepalivedConfig, "global_defs {\nrouter_id controller_2\n}\n", 0o600)
		}, `it is "controller_2"`},
		"another host": {func(_ *testing.T, m *Machine, _ *config.Config) {
			m.Hostname = func() (string, error) { return "debian", nil }
		}, "it is debian"},
		"haproxy is ill": {func(_ *testing.T, m *Machine, _ *config.Config) {
			m.Check = func(string) error { return errors.New("stuck") }
		}, "haproxy answers: stuck"},
		"drift": {func(_ *testing.T, m *Machine, _ *config.Config) {
			m.Drift = func(context.Context) ([]string, error) { return []string{"haproxy: refused"}, nil }
		}, "the services run the files on the disk: haproxy: refused"},
		"the port is not open": {func(_ *testing.T, _ *Machine, c *config.Config) {
			c.Listeners[0].Address = netip.MustParseAddrPort("192.0.2.1:9")
		}, "the port is not open"},
		"no stats page": {func(_ *testing.T, _ *Machine, c *config.Config) {
			c.HAProxy.Stats.Address = netip.MustParseAddrPort("127.0.0.1:1")
		}, "connection refused"},
		"no log": {func(t *testing.T, m *Machine, _ *config.Config) {
			put(t, m, wellknown.HAProxyConfig, "global\n", 0o640)
		}, "has no log target"},
		"no journal": {func(t *testing.T, m *Machine, _ *config.Config) {
			put(t, m, wellknown.HAProxyConfig, "global\n log /dev/log local0\n", 0o640)
		}, "/dev/log is not a socket"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := machine(t)
			c := nodeOf(t, m)
			tt.spoil(t, m, c)
			got := wrong(m.Node(t.Context(), c))
			if tt.want == "" && got != nil || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
				t.Fatalf("got %q, want one with %q", got, tt.want)
			}
		})
	}
}

func TestPrint(t *testing.T) {
	rs := Results{{What: "a", OK: true, Detail: "1.2"}, {What: "b", Why: "it is not", WayOut: "make it so"}, {What: "c", OK: true}}
	var b bytes.Buffer
	rs.Print(&b)
	if want := "ok  a: 1.2\nNOT b: it is not — make it so\nok  c\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	b.Reset()
	if err := rs.PrintJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Results
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || len(back) != 3 || back.OK() {
		t.Errorf("Results read from JSON: %+v, %v", back, err)
	}
}

func TestParseHexAddr(t *testing.T) {
	for s, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000000000000000000001000000:0050": "[::1]:80",
		"0000000000000000FFFF00000100007F:0050": "127.0.0.1:80",
	} {
		got, err := parseHexAddr(s)
		if err != nil || got.String() != want {
			t.Errorf("%s: %v, %v; want %s", s, got, err, want)
		}
	}
	for _, s := range []string{"", ":", "zz:1", "01:1", "0100007F:", "0100007F:10000"} {
		if got, err := parseHexAddr(s); err == nil {
			t.Errorf("parseHexAddr(%q) = %v, want an error", s, got)
		}
	}
}
