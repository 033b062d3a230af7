package lab_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
)

// TestSeedNamesTheCards adds hosts with seeds that match interfaces by MAC, without booting them.
func TestSeedNamesTheCards(t *testing.T) {
	l := labtest.Lab(t)
	root := t.TempDir()
	for _, dir := range []string{"etc", "usr", "var"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	base, err := l.Directory(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config, eth3 string
	}{
		"named":     {"network: {version: 2, ethernets: {lan: {match: {macaddress: '52:54:00:12:34:56'}, set-name: eth3}}}", "52:54:00:12:34:56"},
		"bare":      {"version: 2\nethernets: {eth3: {match: {macaddress: BC:24:11:AB:CD:EF}}}", "bc:24:11:ab:cd:ef"},
		"unnamed":   {"version: 2\nethernets: {eth3: {dhcp4: false}}", ""},
		"elsewhere": {"version: 2\nethernets: {lan: {match: {macaddress: '52:54:00:12:34:56'}, set-name: eth9}}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range map[string]string{"user-data": "#cloud-config\n", "meta-data": "instance-id: a\n", "network-config": c.config} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			h, err := l.AddHost(lab.HostConfig{Name: name, Base: base, Seed: dir, Interfaces: []lab.Interface{{Name: "eth3", Network: "n"}}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.ReadFile("/etc/systemd/system/systemd-networkd.service.d/lab.conf")
			if (err == nil) != (c.eth3 != "") {
				t.Errorf("networkd's drop-in of the lab: %v", err)
			}
			if got := h.HardwareAddress("eth3").String(); c.eth3 != "" && got != c.eth3 || c.eth3 == "" && got[:2] != "02" {
				t.Errorf("eth3 has the MAC %s, want %q", got, c.eth3)
			}
		})
	}
}
