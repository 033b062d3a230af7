package verify

import (
	"bytes"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/testing/needs"
	"github.com/hapair/hapair/units"
)

// Each file that hapair ships is damaged in every way. verify must report it each time.
func TestEveryShippedFileIsChecked(t *testing.T) {
	needs.Lab(t)
	spoil := map[string]func(path string, mode fs.FileMode) error{
		" is missing":                     func(p string, _ fs.FileMode) error { return os.Remove(p) },
		" belongs to user 1, not to root": func(p string, _ fs.FileMode) error { return os.Chown(p, 1, 0) },
		" has mode 0666":                  func(p string, _ fs.FileMode) error { return os.Chmod(p, 0o666) },
		" is a FIFO, not a regular file": func(p string, mode fs.FileMode) error {
			return os.Rename(fifo(t, p), p)
		},
		" differs from the file that this ha-agent ships": func(p string, mode fs.FileMode) error { return os.WriteFile(p, []byte("edited\n"), mode) },
	}
	features := units.Features{Node: true, Firewall: true, Certificates: true}
	checked := 0
	for _, f := range units.All(features) {
		for want, do := range spoil {
			m := machine(t)
			c := nodeOf(t, m)
			c.HAProxy.Certificates = []string{"/etc/haproxy/certs/a.pem"}
			for _, f := range units.All(features) {
				if !m.has(f.Path) {
					put(t, m, f.Path, string(f.Content), f.Mode)
				}
			}
			put(t, m, "/etc/systemd/system/multi-user.target.wants/hapair-firewall.service", "", 0o644)
			if got := m.one(t.Context(), m.files(m.nodeFeatures(c))); !got.OK {
				t.Fatalf("as shipped: %+v", got)
			}
			if err := do(m.path(f.Path), f.Mode); err != nil {
				t.Fatal(err)
			}
			got := m.one(t.Context(), m.files(m.nodeFeatures(c)))
			switch {
			case f.Content == nil && strings.Contains(want, "ships"), f.Optional && want == " is missing":
				if !got.OK {
					t.Errorf("%s%s is allowed, but was reported: %s", f.Path, want, got.Why)
				}
			case got.OK || !strings.HasPrefix(got.Why, f.Path+want) || strings.Contains(got.Why, ";"):
				t.Errorf("%s%s: got %+v", f.Path, want, got)
			default:
				checked++
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d faults were tested", checked)
	}
}

func fifo(t *testing.T, beside string) string {
	t.Helper()
	p := filepath.Join(filepath.Dir(beside), "fifo")
	if err := syscall.Mkfifo(p, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDropInMatchesNetworkdsFile(t *testing.T) {
	needs.Lab(t)
	dropIn := units.Network("10-netplan-uplink.network").Path
	for name, tt := range map[string]struct {
		spoil func(m *Machine)
		want  string // why the step fails; "" if it succeeds
	}{
		"in place": {func(*Machine) {}, ""},
		"missing":  {func(m *Machine) { remove(t, m, dropIn) }, dropIn + " is missing (networkd uses /run/systemd/network/10-netplan-uplink.network)"},
		"of another file": {func(m *Machine) {
			put(t, m, "/run/systemd/netif/links/7", "NETWORK_FILE=/etc/systemd/network/50.network\n", 0o644)
		}, "/etc/systemd/network/50.network.d/hapair.conf is missing (networkd uses /etc/systemd/network/50.network)"},
		"edited":            {func(m *Machine) { put(t, m, dropIn, "[Network]\n", 0o644) }, dropIn + " differs from the file that this ha-agent ships (networkd uses /run/systemd/network/10-netplan-uplink.network)"},
		"not networkd's":    {func(m *Machine) { remove(t, m, "/run/systemd/netif/links/7") }, ""},
		"not managed":       {func(m *Machine) { put(t, m, "/run/systemd/netif/links/7", "ADMIN_STATE=unmanaged\n", 0o644) }, ""},
		"no such interface": {func(m *Machine) { remove(t, m, "/sys/class/net/eth4/ifindex") }, "there is no interface eth4"},
	} {
		m := machine(t)
		c := nodeOf(t, m)
		tt.spoil(m)
		got := m.one(t.Context(), m.network(c.VIPs[0].Interface))
		if got.OK != (tt.want == "") || got.Why != tt.want {
			t.Errorf("%s: got %+v, want %q", name, got, tt.want)
		}
	}
}

// Both are reported, but neither is a failure.
func TestMaintenanceAndAnotherReleaseAreWarnings(t *testing.T) {
	needs.Lab(t)
	m := machine(t)
	c := nodeOf(t, m)
	put(t, m, m.Mark, "", 0o644)
	c.Release = "noble"
	rs := m.Node(t.Context(), c)
	if !rs.OK() {
		t.Errorf("got %q", wrong(rs))
	}
	var b bytes.Buffer
	rs.Print(&b)
	for _, want := range []string{
		"WARN the node is in service: it is in maintenance and holds no VIP; end it with `ha-agent maintenance off`\n",
		`the node runs "trixie", but its files were baked for "noble"`,
		"ok  haproxy answers\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &b)
		}
	}
	// An agent.yaml of an older version may not contain the release.
	c.Release = ""
	if got := m.one(t.Context(), m.release(c.Release)); !got.OK || got.Warning != "" {
		t.Errorf("got %+v", got)
	}
}

func TestTextFromOutsideCannotForgeALine(t *testing.T) {
	m := machine(t)
	c := nodeOf(t, m)
	c.Listeners[0] = config.Listener{Service: "x\nok  \x1b[2Jforged", Address: netip.MustParseAddrPort("192.0.2.1:9")}
	var b bytes.Buffer
	m.Node(t.Context(), c).Print(&b)
	if strings.ContainsRune(b.String(), '\x1b') || strings.Contains(b.String(), "\nok  forged") || !strings.Contains(b.String(), `x\nok  \u001b[2Jforged`) {
		t.Errorf("got %q", b.String())
	}
}
