package vrrp

import (
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
)

const groupedConf = `vrrp_sync_group edge {
  group {
    VI_a
    VI_b
  }
}
vrrp_instance VI_a {
  interface eth0
  virtual_ipaddress { 192.0.2.10/24 }
}
vrrp_instance VI_b {
  interface eth0
  virtual_ipaddress { 192.0.2.11/24 }
}
vrrp_instance VI_alone {
  interface eth0
  virtual_ipaddress { 192.0.2.12/24 }
}
`

// An instance of a group is announced once its addresses are gone. keepalived announces the others itself.
func TestInstanceOfAGroupIsAnnounced(t *testing.T) {
	held := []vip.Held{{Interface: "eth0", Address: netip.MustParseAddr("192.0.2.11")}}
	looks := 0
	var resigned []string
	r := GroupResigner{Runs: func() keepalived.File { return keepalived.Read([]byte(groupedConf)) }, Log: slog.New(slog.DiscardHandler),
		Addresses: func() ([]vip.Held, error) {
			if looks++; looks > 3 && len(held) == 1 {
				return nil, nil // keepalived has removed them meanwhile
			}
			return held, nil
		},
		Resign: func(in keepalived.Instance) error { resigned = append(resigned, in.Name); return nil }}
	for _, name := range []string{"VI_a", "VI_alone", "VI_other"} {
		r.Left(name)
	}
	if !slices.Equal(resigned, []string{"VI_a"}) {
		t.Errorf("announced %v, want VI_a alone", resigned)
	}
	looks = 0
	if r.Left("VI_b"); !slices.Equal(resigned, []string{"VI_a", "VI_b"}) || looks < 4 {
		t.Errorf("announced %v after %d looks, want VI_b once its address is gone", resigned, looks)
	}
	held = append(held, held...) // they stay
	if r.Left("VI_b"); len(resigned) != 2 {
		t.Errorf("announced %v while the address is here", resigned)
	}
}

// Only an instance that leaves MASTER for FAULT is announced: one that yields to a holder is not.
func TestOnlyAFaultOfTheHolderIsAnnounced(t *testing.T) {
	left := make(chan string, 10)
	v := &States{Log: slog.New(slog.DiscardHandler), Now: time.Now, Left: func(name string) { left <- name }}
	for _, state := range []keepalived.State{keepalived.Master, keepalived.Backup, keepalived.Fault, keepalived.Backup, keepalived.Master, keepalived.Fault, keepalived.Fault} {
		v.take(keepalived.Event{Type: "INSTANCE", Name: "VI_a", State: state, Priority: 254})
	}
	if name := <-left; name != "VI_a" {
		t.Errorf("announced %s", name)
	}
	v.take(keepalived.Event{Type: "INSTANCE", Name: "VI_b", State: keepalived.Master, Priority: 254})
	v.take(keepalived.Event{Type: "INSTANCE", Name: "VI_b", State: keepalived.Fault, Priority: 254})
	if name := <-left; name != "VI_b" {
		t.Errorf("announced %s once more", name)
	}
}
