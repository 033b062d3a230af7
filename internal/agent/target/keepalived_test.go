package target

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/systemd"
	"github.com/hapair/hapair/internal/validator"
)

const oneInstance = "vrrp_instance VI_a {\n  interface eth3\n  virtual_ipaddress {\n    192.0.2.1/24 dev eth4\n  }\n}\n"

func TestVIPInTwoIncludedInstancesIsBad(t *testing.T) {
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
	// The same address with another prefix is still a duplicate.
	second := strings.NewReplacer("VI_a", "VI_b", "192.0.2.1/24", "192.0.2.1/32").Replace(oneInstance)
	if err := os.WriteFile(more, []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := target.Paths(); len(got) != 2 || got[1] != more {
		t.Errorf("Paths = %v, want the include among them", got)
	}
	if a := target.Validate(t.Context()); a.Verdict != validator.Bad || !strings.Contains(a.Reason(), "VI_a and VI_b") {
		t.Errorf("Validate = %+v, want bad because of VI_a and VI_b", a)
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
				t.Errorf("agree = %v, want success: %v", err, tt.ok)
			}
		})
	}
}

// states are systemd's answers about keepalived, in order. The last one is repeated.
type states []systemd.Unit

func (s *states) Reload(context.Context, string) error  { return nil }
func (s *states) Restart(context.Context, string) error { return nil }
func (s *states) Service(context.Context, string) (systemd.Unit, error) {
	u := (*s)[0]
	if len(*s) > 1 {
		*s = (*s)[1:]
	}
	return u, nil
}

// If keepalived is stopped or restarted while it proves its first files, the files must not be reported as bad.
func TestKeepalivedStoppedDuringItsProof(t *testing.T) {
	active, ending, stopped, failed := systemd.Unit{Active: "active"}, systemd.Unit{Active: "deactivating"}, systemd.Unit{Active: "inactive"}, systemd.Unit{Active: "failed"}
	for _, tt := range []struct {
		name   string
		states states
		want   error // nil if the files are proven; else this error or its text
	}{
		{"stopped", states{active, ending, ending, stopped}, ErrNotRunning},
		{"started anew", states{active, ending, ending, active}, nil},
		{"it ends by itself", states{active, ending, failed}, errors.New("keepalived does not run with it")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := &Keepalived{conf: config.Keepalived{Config: "/missing"}, units: &tt.states,
					states: func() map[string]keepalived.State { return nil }, addresses: func() ([]vip.Held, error) {
						if len(tt.states) > 1 {
							return nil, errors.New("not yet")
						}
						return nil, nil
					}}
				got := target.proveStates(t.Context())
				if !errors.Is(got, tt.want) && (tt.want == nil || got == nil || got.Error() != tt.want.Error()) {
					t.Errorf("proveStates = %v, want %v", got, tt.want)
				}
			})
		})
	}
}
