package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sample() *Config {
	return &Config{
		APIVersion: APIVersion,
		Cluster:    "controllers",
		Node:       "controller_1",
		Release:    "noble",
		HAProxy: HAProxy{
			Config: "/etc/haproxy/haproxy.cfg", Unit: "haproxy.service",
			MasterSocket: "/run/haproxy-master.sock", CheckSocket: "/run/haproxy/check.sock",
			Certificates: []string{"/etc/haproxy/certs/portal.pem"},
			Stats:        &Stats{Address: netip.MustParseAddrPort("192.168.56.101:1936")},
		},
		Keepalived: Keepalived{
			Config: "/etc/keepalived/keepalived.conf", Unit: "keepalived.service",
			NotifyFIFO: "/run/ha-agent/notify.fifo", TrackFile: "/run/ha-agent/haproxy.track",
		},
		Sysctl:    Sysctl{File: "/etc/sysctl.d/60-hapair.conf"},
		Peers:     []Peer{{Name: "controller_2", Addresses: []netip.Addr{netip.MustParseAddr("192.168.56.102")}}},
		VIPs:      []VIP{{Name: "public", Interface: "eth4", Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.1.32/24")}, Instances: []string{"VI_public"}}},
		Listeners: []Listener{{Service: "keystone", Address: netip.MustParseAddrPort("[2001:db8::1]:5000")}},
		Packages:  []string{"haproxy", "keepalived"},
	}
}

func marshal(t *testing.T, c *Config) []byte {
	t.Helper()
	data, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A value that Load loses would be missing in the second file.
func TestMarshalRoundTrip(t *testing.T) {
	for name, want := range map[string]*Config{
		"full": sample(),
		"without lists": func() *Config {
			c := sample()
			c.HAProxy.Stats, c.HAProxy.Certificates, c.Peers, c.VIPs, c.Listeners, c.Packages = nil, nil, nil, nil, nil, nil
			return c
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "agent.yaml")
			if err := os.WriteFile(path, marshal(t, want), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(marshal(t, want)), string(marshal(t, got))); diff != "" {
				t.Errorf("the file differs after it was read and written again (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	good := string(marshal(t, sample()))
	for name, c := range map[string]struct{ old, new, want string }{
		"newer":         {"hapair-agent/v1", "hapair-agent/v2", `the file has version "hapair-agent/v2", but this ha-agent supports only hapair-agent/v1`},
		"other kind":    {"hapair-agent/v1", "hapair/v1", `must be hapair-agent/v1, not "hapair/v1"`},
		"unknown key":   {"cluster:", "klaster:", "klaster: unknown key"},
		"bad address":   {"192.168.56.102", "192.168.56.300", `peers[0].addresses[0]: "192.168.56.300" is not understood`},
		"missing":       {"  track_file: /run/ha-agent/haproxy.track\n", "", "keepalived.track_file: is missing"},
		"relative path": {"config: /etc/haproxy", "config: etc/haproxy", "haproxy.config: must be an absolute path"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, c.old, c.new, 1)
			if bad == good {
				t.Fatalf("the sample does not contain %q", c.old)
			}
			_, problems := Parse("agent.yaml", []byte(bad))
			if len(problems) != 1 || !strings.Contains(problems.Error(), c.want) {
				t.Errorf("got the problems\n%v\nwant one with %q", problems, c.want)
			}
		})
	}
}

// A newer file may have keys that this version does not know. Only its version must be reported.
func TestParseNewerReportsOnlyTheVersion(t *testing.T) {
	_, problems := Parse("agent.yaml", []byte("apiVersion: hapair-agent/v7\nquorum: 3\n"))
	if len(problems) != 1 || problems[0].Path != "apiVersion" {
		t.Errorf("Parse of a newer file: %v", problems)
	}
}

func TestLoadMissingFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "agent.yaml"))
	if err == nil || !strings.Contains(err.Error(), "cannot read the agent's configuration") {
		t.Errorf("Load of a missing file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	data, err := sample().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("apiVersion: hapair-agent/v2"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := Parse("agent.yaml", data)
		if problems.HasErrors() {
			return
		}
		out, err := c.Marshal()
		if err != nil {
			t.Fatalf("cannot write a file that was read: %v", err)
		}
		if _, problems := Parse("agent.yaml", out); problems.HasErrors() {
			t.Fatalf("cannot read a file that was written: %v\n%s", problems, out)
		}
	})
}
