package recipe_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/test/cluster"
	"github.com/hapair/hapair/units"
)

// TestBootDoesNotWaitForANameserver boots a node twice without a nameserver, and with one that never answers. bootHost fails
// if a boot ends as degraded, or takes a minute.
func TestBootDoesNotWaitForANameserver(t *testing.T) {
	for _, name := range cluster.Releases(t, "resolute") {
		for what, address := range map[string]string{
			"no nameserver":   "interface: eth3}",
			"one unreachable": "interface: eth3, gateway: 192.168.56.1, nameservers: [192.168.56.250]}",
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				r, err := release.Get(name)
				if err != nil {
					t.Fatal(err)
				}
				s := parseBytes(t, "spec.yaml", []byte(strings.ReplaceAll(hostSpec, "interface: eth3}", address)))
				h := bootHost(t, s, &s.Nodes[0], r)
				if err := h.Reboot(deadline(t)); err != nil {
					t.Fatal(err)
				}
				if err := h.WaitRunning(deadline(t)); err != nil {
					t.Fatal(err)
				}
				h.waitsForInterfaces(t, r) // at the first boot, netplan may have written its files too late for networkd to wait
			})
		}
	}
}

// waitsForInterfaces checks that the boot has waited for the network, with one command and only for a short time.
func (h *bootedHost) waitsForInterfaces(t *testing.T, r release.Release) {
	t.Helper()
	const unit = "systemd-networkd-wait-online.service"
	if files := h.must(t, "systemctl", "cat", unit); strings.Contains(files, "--dns") != r.WaitsForNameserver {
		t.Errorf("netplan makes %s wait for a nameserver: %v, want %v\n%s", unit, !r.WaitsForNameserver, r.WaitsForNameserver, files)
	}
	if commands := h.must(t, "systemctl", "show", "-P", "ExecStart", unit); strings.Contains(commands, "--dns") {
		t.Errorf("%s waits for a nameserver: %s", unit, commands)
	}
	if state := strings.TrimSpace(h.must(t, "systemctl", "show", "-P", "ActiveState", unit)); state != "active" {
		t.Errorf("%s is %s, want active", unit, state)
	}
	took := h.must(t, "sh", "-c", `echo $(($(systemctl show -P ActiveEnterTimestampMonotonic `+unit+`) - $(systemctl show -P InactiveExitTimestampMonotonic `+unit+`)))us`)
	d, err := time.ParseDuration(strings.TrimSpace(took))
	if err != nil || d > 20*time.Second {
		t.Errorf("%s took %v, %v", unit, d, err)
	}
	t.Logf("%s took %v", unit, d)
}

// TestWaitOnlineIsForReleasesThatNeedIt checks which releases' images have the drop-in.
func TestWaitOnlineIsForReleasesThatNeedIt(t *testing.T) {
	s := parseBytes(t, "spec.yaml", []byte(hostSpec))
	for _, r := range release.All() {
		image, err := recipe.Image(s, r)
		if err != nil {
			t.Fatal(err)
		}
		has := slices.ContainsFunc(image.Files, func(f recipe.File) bool { return f.Path == units.WaitOnline().Path })
		if has != r.WaitsForNameserver {
			t.Errorf("%s: the image has %s: %v, want %v", r.Name, units.WaitOnline().Path, has, r.WaitsForNameserver)
		}
	}
}
