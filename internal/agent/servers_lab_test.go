package agent_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/selfsigned"
)

// TestServers tests what the agent does for servers of haproxy's backends.
func TestServers(t *testing.T) {
	n := newNode(t, "noble")
	n.settled()
	n.must("systemd-run", "--unit=alive", "socat", "TCP-LISTEN:7001,bind=127.0.0.1,fork,reuseaddr", "SYSTEM:true")
	n.run(t, []part{
		{"a backend keeps a server", testKeepsServer},
		{"the state that an operator sets for a server is kept", testOperatorsServers},
		{"a renewed certificate is proven, and an expired one is reported", testCertificates},
	})
}

// backends returns haproxy.cfg with backends that have one server each, by name. It replaces the backends of an earlier
// call.
func (n *node) backends(servers map[string]string) string {
	const mark = "\n# backends of the test\n"
	conf, _, _ := strings.Cut(n.read(haproxyCfg), mark)
	conf += mark
	for name, server := range servers {
		conf += fmt.Sprintf("backend %s\n    mode tcp\n    server s %s\n", name, server)
	}
	return conf
}

func testKeepsServer(t *testing.T, n *node) {
	edit := func(want journal.Verdict, reason string, servers map[string]string) journal.Change {
		t.Helper()
		before, err := n.status()
		if err != nil {
			t.Fatal(err)
		}
		n.save(haproxyCfg, n.backends(servers))
		c := n.change(before.LastChange.Number)
		if c.Verdict != want || !strings.Contains(c.Reason, reason) {
			t.Fatalf("%v: %s %q, want %s with %q", servers, c.Verdict, c.Reason, want, reason)
		}
		return c
	}
	const alive, dead = "127.0.0.1:7001 check inter 300ms", "127.0.0.1:7009 check inter 300ms"
	edit(journal.Proven, "", map[string]string{"a": alive, "b": dead}) // a new backend may have no server that is up
	took, err := time.ParseDuration(edit(journal.Proven, "", map[string]string{"a": alive, "b": dead, "c": alive}).Took)
	if err != nil || took > 5*time.Second {
		t.Errorf("a change that edits no existing backend took %v, %v; want at most 5 s", took, err)
	}
	n.upWhenChecked("a")
	edit(journal.Proven, "", map[string]string{"a": alive + " weight 5", "b": dead + " weight 5"})
	n.upWhenChecked("a")

	good := n.read(haproxyCfg)
	edit(journal.RolledBack, `backend "a" had a server up before this change, and has none now: s is DOWN L4CON`, map[string]string{"a": dead, "b": dead})
	if n.read(haproxyCfg) != good {
		t.Error("the last known good file was not restored")
	}
	n.upWhenChecked("a")
	edit(journal.RolledBack, `backend "a" had a server up before this change, and has none now`, map[string]string{"a": strings.Replace(alive, "check", "check port 7009", 1), "b": dead})
	n.upWhenChecked("a")
	edit(journal.Proven, "", map[string]string{"a": alive + " disabled", "b": dead}) // the operator disables the server in the file
	edit(journal.Proven, "", map[string]string{"a": alive, "b": dead})
	n.upWhenChecked("a")

	// With a flag, the operator accepts a backend without servers.
	n.must("mkdir", "-p", "/root/new/etc/haproxy")
	n.write("/root/new"+haproxyCfg, 0o640, []byte(n.backends(map[string]string{"a": dead, "b": dead})))
	if out, status, err := n.Run(t.Context(), "ha-agent", "apply", "/root/new"); err != nil || status != 1 || !strings.Contains(out, "rolled back") {
		t.Errorf("apply without the flag: exit status %d, %v, want 1\n%s", status, err, out)
	}
	n.upWhenChecked("a")
	n.must("ha-agent", "apply", "--allow-no-servers", "/root/new")
	edit(journal.Proven, "", map[string]string{"a": alive, "b": dead})
	n.upWhenChecked("a")

	// If a backend was not edited, the change is not the cause of its outage.
	n.must("systemctl", "stop", "alive")
	edit(journal.Proven, "", map[string]string{"a": alive, "b": dead + " weight 7"})
}

// upWhenChecked waits until haproxy itself has checked the server of a backend and finds it up.
func (n *node) upWhenChecked(backend string) {
	n.t.Helper()
	n.eventually("the server of "+backend+" is up", func() error {
		out, _, err := n.Run(n.t.Context(), "sh", "-c", `echo "show stat `+backend+` 4 -1" | socat - /run/haproxy/admin.sock | cut -d, -f18,37`)
		if err == nil && !strings.Contains(out, "UP,L4OK") {
			err = fmt.Errorf("the server's status and check are %q", out)
		}
		return err
	})
}

func testOperatorsServers(t *testing.T, n *node) {
	n.must("systemctl", "restart", "alive")
	before, err := n.status()
	if err != nil {
		t.Fatal(err)
	}
	n.save(haproxyCfg, n.backends(map[string]string{"kept": "127.0.0.1:7001 check inter 300ms"}))
	n.change(before.LastChange.Number)
	is := func(want string) {
		t.Helper()
		n.eventually("kept/s is "+want, func() error {
			out, _, err := n.Run(t.Context(), "sh", "-c", `echo "show stat kept 4 -1" | socat - /run/haproxy/admin.sock | sed -n 2p | cut -d, -f18,19`)
			if out = strings.TrimSpace(out); err == nil && out != want {
				err = fmt.Errorf("the server's state is %q", out)
			}
			return err
		})
	}
	is("UP,1")
	n.must("ha-agent", "server", "weight", "kept/s", "7")
	n.must("ha-agent", "server", "drain", "kept/s")
	is("DRAIN,7")
	n.must("systemctl", "reload", "haproxy")
	is("DRAIN,7")
	n.must("systemctl", "restart", "haproxy")
	is("DRAIN,7")
	n.must("systemctl", "restart", "haproxy", "ha-agent")
	is("DRAIN,7")
	s, err := n.status()
	if err != nil || len(s.Servers) != 1 || s.Servers[0].String() != "drain, weight 7" || s.Servers[0].Why != "" {
		t.Errorf("servers in the status: %+v, %v", s.Servers, err)
	}
	if out, status, err := n.Run(t.Context(), "ha-agent", "server", "drain", "kept/none"); err != nil || status != 1 || !strings.Contains(out, "No such server") {
		t.Errorf("drain of an unknown server: exit status %d, %v\n%s", status, err, out)
	}
	n.must("ha-agent", "server", "ready", "kept/s")
	is("UP,1")
	n.must("systemctl", "restart", "haproxy")
	is("UP,1")
}

func testCertificates(t *testing.T, n *node) {
	const path, agentYAML = "/etc/haproxy/test.pem", "/etc/ha-agent/agent.yaml"
	n.save(path, certificate(t, 0xA1, 90*24*time.Hour))
	n.save(agentYAML, strings.Replace(n.read(agentYAML), "haproxy:\n", "haproxy:\n  certificates: ["+path+"]\n", 1))
	n.must("chmod", "0644", agentYAML)
	conf, _, _ := strings.Cut(n.read(haproxyCfg), "\n# backends of the test\n")
	n.save(haproxyCfg, conf+"\nfrontend tls\n    mode http\n    bind 192.168.1.32:8443 ssl crt "+path+"\n    http-request return status 200\n")
	n.eventually("haproxy serves the certificate", n.serves("A1"))
	before, err := n.status()
	if err != nil {
		t.Fatal(err)
	}
	n.save(path, certificate(t, 0xB2, 90*24*time.Hour))
	if c := n.change(before.LastChange.Number); c.Verdict != journal.Proven {
		t.Fatalf("change %+v, want it proven", c)
	}
	n.eventually("haproxy serves the renewed certificate", n.serves("B2"))

	n.save(path, certificate(t, 0xC3, -time.Hour))
	n.eventually("the expired certificate is a problem", func() error {
		s, err := n.status()
		if err == nil && !strings.Contains(strings.Join(s.Problems, "\n"), "certificate "+path+": it expired at") {
			err = fmt.Errorf("the status has the problems %q", s.Problems)
		}
		return err
	})
}

// serves checks that verify found a certificate's serial number by a handshake.
func (n *node) serves(serial string) func() error {
	return func() error {
		out, _, err := n.Run(n.t.Context(), "ha-agent", "verify")
		if err == nil && (!strings.Contains(out, "serial "+serial) || !strings.Contains(out, "ok  haproxy serves the certificates on the disk: 1 asked")) {
			err = fmt.Errorf("verify does not report the serial number:\n%s", out)
		}
		return err
	}
}

// certificate returns a self-signed certificate and its key in PEM format.
func certificate(t *testing.T, serial int64, validFor time.Duration) string {
	t.Helper()
	c, err := selfsigned.New(&x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "www.example.org"}, DNSNames: []string{"www.example.org"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(validFor)})
	if err != nil {
		t.Fatal(err)
	}
	return string(c.PEM())
}
