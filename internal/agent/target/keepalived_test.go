package target

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/tool"
)

const oneInstance = "vrrp_instance VI_a {\n  interface eth3\n  virtual_ipaddress {\n    192.0.2.1/24 dev eth4\n  }\n}\n"

func TestAVIPInTwoInstancesIsFoundOverIncludes(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "keepalived.conf")
	if err := os.WriteFile(conf, []byte(oneInstance+"include more/*.conf\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	target := &Keepalived{conf: config.Keepalived{Config: conf}}
	if err := target.unique(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "more"), 0o700); err != nil {
		t.Fatal(err)
	}
	more := filepath.Join(dir, "more", "b.conf")
	// Another prefix is no other address.
	second := strings.NewReplacer("VI_a", "VI_b", "192.0.2.1/24", "192.0.2.1/32").Replace(oneInstance)
	if err := os.WriteFile(more, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := target.Paths(); len(got) != 2 || got[1] != more {
		t.Errorf("paths are %v", got)
	}
	if a := target.Validate(t.Context()); a.Verdict != tool.Bad || !strings.Contains(a.Reason(), "VI_a and VI_b") {
		t.Errorf("%+v", a)
	}
}

func TestKernelAndKeepalivedMustAgree(t *testing.T) {
	instances := keepalived.Read([]byte(oneInstance)).Instances
	on := []vip.Held{{Interface: "eth4", Address: netip.MustParseAddr("192.0.2.1")}}
	elsewhere := []vip.Held{{Interface: "eth3", Address: netip.MustParseAddr("192.0.2.1")}}
	tests := map[string]struct {
		state keepalived.State
		held  []vip.Held
		ok    bool
	}{
		"master with it":             {keepalived.Master, on, true},
		"master without it":          {keepalived.Master, nil, false},
		"master, on another one":     {keepalived.Master, elsewhere, false},
		"backup without it":          {keepalived.Backup, nil, true},
		"backup with it":             {keepalived.Backup, on, false},
		"fault with it":              {keepalived.Fault, on, false},
		"nothing was told, with it":  {"", on, true},
		"nothing was told, without ": {"", nil, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			states := map[string]keepalived.State{}
			if tt.state != "" {
				states["VI_a"] = tt.state
			}
			if err := agree(instances, states, tt.held); (err == nil) != tt.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}
