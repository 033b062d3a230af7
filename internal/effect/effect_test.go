package effect

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hapair/hapair/units"
)

const conf = `global_defs {
  router_id lb1
}
vrrp_instance public {
  interface eth0
  virtual_router_id 51
  priority 150
  virtual_ipaddress {
    192.0.2.10/24
  }
}
`

func keepalivedConf(old, new string) []File {
	return []File{{Path: "/etc/keepalived/keepalived.conf", Old: []byte(conf), New: []byte(strings.Replace(conf, old, new, 1))}}
}

func TestOf(t *testing.T) {
	b := func(s string) []byte { return []byte(s) }
	for name, c := range map[string]struct {
		files []File
		want  []string
	}{
		"nothing differs":   {[]File{{Path: "/etc/haproxy/haproxy.cfg", Old: b("a"), New: b("a"), OldMeta: "0640", NewMeta: "0640"}}, nil},
		"unknown owner":     {[]File{{Path: "/etc/haproxy/haproxy.cfg", Old: b("a"), New: b("a"), NewMeta: "0640"}}, nil},
		"haproxy.cfg":       {[]File{{Path: "/etc/haproxy/haproxy.cfg", Old: b("a"), New: b("b")}}, []string{"reload of haproxy.service (/etc/haproxy/haproxy.cfg)"}},
		"a mode":            {[]File{{Path: "/etc/haproxy/haproxy.cfg", Old: b("a"), New: b("a"), OldMeta: "0644", NewMeta: "0640"}}, []string{"reload of haproxy.service (/etc/haproxy/haproxy.cfg)"}},
		"a certificate":     {[]File{{Path: "/etc/haproxy/certs/a.pem", New: b("b")}}, []string{"reload of haproxy.service (/etc/haproxy/certs/a.pem)"}},
		"an empty new file": {[]File{{Path: "/etc/haproxy/maps/a", New: b("")}}, []string{"reload of haproxy.service (/etc/haproxy/maps/a)"}},
		"a restart beats a reload": {[]File{{Path: "/etc/haproxy/haproxy.cfg", Old: b("a"), New: b("b")}, {Path: "/etc/default/haproxy", Old: b("a"), New: b("b")}},
			[]string{"restart of haproxy.service (/etc/default/haproxy)"}},
		"two files of a service": {[]File{{Path: "/etc/haproxy/haproxy.cfg", Old: b("a"), New: b("b")}, {Path: "/etc/haproxy/a.map", Old: b("a"), New: b("b")}},
			[]string{"reload of haproxy.service (/etc/haproxy/a.map, /etc/haproxy/haproxy.cfg)"}},
		"agent.yaml":       {[]File{{Path: "/etc/ha-agent/agent.yaml", Old: b("a"), New: b("b")}}, []string{"restart of ha-agent.service (/etc/ha-agent/agent.yaml)"}},
		"apt":              {[]File{{Path: "/etc/apt/apt.conf.d/60hapair", Old: b("a"), New: b("b")}}, []string{"nothing (/etc/apt/apt.conf.d/60hapair)"}},
		"a comment":        {keepalivedConf("router_id", "# x\n  router_id"), []string{"reload of keepalived.service (/etc/keepalived/keepalived.conf)"}},
		"a VIP more":       {keepalivedConf("    192", "    192.0.2.11/24\n    192"), []string{"VIP moves (192.0.2.11 of public comes)", "reload of keepalived.service (/etc/keepalived/keepalived.conf)"}},
		"another VIP":      {keepalivedConf(".10/", ".12/"), []string{"VIP moves (192.0.2.10 of public goes)", "VIP moves (192.0.2.12 of public comes)", "reload of keepalived.service (/etc/keepalived/keepalived.conf)"}},
		"a priority":       {keepalivedConf("150", "100"), []string{"VIP moves (public has priority 100 instead of 150)", "reload of keepalived.service (/etc/keepalived/keepalived.conf)"}},
		"a new name":       {keepalivedConf("public", "edge"), []string{"VIP moves (192.0.2.10 of edge comes)", "VIP moves (192.0.2.10 of public goes)", "reload of keepalived.service (/etc/keepalived/keepalived.conf)"}},
		"a namespace":      {keepalivedConf("  router_id", "  net_namespace x\n  router_id"), []string{"restart of keepalived.service (/etc/keepalived/keepalived.conf)"}},
		"a router ID":      {keepalivedConf("router_id 51", "router_id 52"), []string{"VIP moves (public has virtual_router_id 52 instead of 51: nodes with different ones do not hear each other)", "reload of keepalived.service (/etc/keepalived/keepalived.conf)"}},
		"a file of a link": {[]File{{Path: "/etc/systemd/network/10-netplan-eth0.network.d/hapair.conf", New: b("b")}}, []string{"reload of systemd-networkd.service (/etc/systemd/network/10-netplan-eth0.network.d/hapair.conf)"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range Of(c.files) {
				got = append(got, e.String())
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestParts(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		want     bool
	}{
		"nothing":                            {"x", "x", false},
		"a virtual router ID":                {"router_id 51", "router_id 52", true},
		"multicast to unicast":               {"  priority", "  unicast_peer {\n    192.0.2.2\n  }\n  priority", true},
		"a priority":                         {"150", "100", false},
		"a VIP more":                         {"    192", "    192.0.2.11/24\n    192", false},
		"advert_int of version 2":            {"  priority", "  advert_int 2\n  priority", true},
		"a new name, with another router ID": {"public {\n  interface eth0\n  virtual_router_id 51", "edge {\n  interface eth0\n  virtual_router_id 9", true},
		"a new name":                         {"public {", "edge {", false},
	} {
		if got := Parts([]byte(conf), []byte(strings.Replace(conf, c.old, c.new, 1))); got != c.want {
			t.Errorf("%s: parts is %v, want %v", name, got, c.want)
		}
	}
	v3 := "vrrp_instance a {\n  version 3\n  advert_int 1\n  virtual_router_id 1\n}\n"
	if Parts([]byte(v3), []byte(strings.Replace(v3, "int 1", "int 2", 1))) {
		t.Error("advert_int of version 3 parts the nodes, although a backup takes that of the holder")
	}
}

// TestUnitsAreShipped checks that the paths of drop-ins and units in the table are those that hapair ships.
func TestUnitsAreShipped(t *testing.T) {
	shipped := map[string]bool{}
	for _, f := range append(append(units.Common(), units.Certificates()...), units.Firewall()) {
		shipped[f.Path] = true
	}
	for path := range byPath {
		if strings.Contains(path, "/systemd/") && !shipped[path] {
			t.Errorf("%s is not shipped", path)
		}
	}
}

func TestKindsAsText(t *testing.T) {
	for k := Nothing; k <= Image; k++ {
		text, err := json.Marshal(Effect{Kind: k, Why: "x"})
		if err != nil {
			t.Fatal(err)
		}
		var back Effect
		if err := json.Unmarshal(text, &back); err != nil || back.Kind != k {
			t.Errorf("the kind %s was read as %v, %v", text, back, err)
		}
	}
}
