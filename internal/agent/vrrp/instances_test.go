package vrrp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/systemd"
)

func TestDoubt(t *testing.T) {
	runs := systemd.Unit{Active: "active", MainPID: 7, StartedSinceBoot: 100 * time.Second}
	noBus := errors.New("cannot reach systemd")
	for _, tt := range []struct {
		name     string
		instance Instance
		kernel   Presence
		unit     systemd.Unit
		err      error
		why      string // part of the result; empty if there is no doubt
	}{
		{"told by the process that runs", Instance{State: "MASTER", SinceBoot: 101 * time.Second}, PresenceUnknown, runs, nil, ""},
		{"told by one before it", Instance{State: "MASTER", SinceBoot: 99 * time.Second}, PresenceUnknown, runs, nil, "was restarted"},
		{"nothing runs", Instance{State: "MASTER", SinceBoot: 101 * time.Second}, PresenceUnknown, systemd.Unit{Active: "failed"}, nil, "does not run"},
		{"it is starting", Instance{State: "MASTER", SinceBoot: 101 * time.Second}, PresenceUnknown, systemd.Unit{Active: "activating"}, nil, "does not run"},
		{"the kernel bears out a MASTER", Instance{State: "MASTER"}, Held, systemd.Unit{}, noBus, ""},
		{"and a BACKUP", Instance{State: "BACKUP"}, NotHeld, systemd.Unit{}, noBus, ""},
		{"the kernel does not", Instance{State: "MASTER"}, NotHeld, systemd.Unit{}, noBus, "cannot be confirmed"},
		{"nor in part", Instance{State: "MASTER"}, HeldInPart, systemd.Unit{}, noBus, "cannot be confirmed"},
		{"nor if it is not known", Instance{State: "BACKUP"}, PresenceUnknown, systemd.Unit{}, noBus, "cannot be confirmed"},
	} {
		got := doubt(tt.instance, tt.kernel, tt.unit, tt.err)
		if !strings.Contains(got, tt.why) || tt.why == "" && got != "" {
			t.Errorf("%s: %q, want %q in it", tt.name, got, tt.why)
		}
	}
}

func TestInKernel(t *testing.T) {
	vips := []config.VIP{
		{Name: "one", Interface: "eth4", Instances: []string{"VI_one"},
			Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("fd00::1/64")}},
		{Name: "two", Interface: "eth4", Instances: []string{"VI_two", "VI_two_v6"}, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24")}},
	}
	on := func(iface string, addrs ...string) (held []vip.Held) {
		for _, a := range addrs {
			held = append(held, vip.Held{Interface: iface, Address: netip.MustParseAddr(a)})
		}
		return held
	}
	for _, tt := range []struct {
		instance string
		held     []vip.Held
		want     Presence
	}{
		{"VI_one", on("eth4", "192.0.2.1", "fd00::1"), Held},
		{"VI_one", on("eth4", "fd00::1"), HeldInPart},
		{"VI_one", on("eth3", "192.0.2.1", "fd00::1"), NotHeld},
		{"VI_two", on("eth4", "192.0.2.2"), PresenceUnknown},
		{"VI_own", nil, PresenceUnknown},
	} {
		if got := inKernel(vips, tt.instance, tt.held); got != tt.want {
			t.Errorf("%s with %v: %v, want %v", tt.instance, tt.held, got, tt.want)
		}
	}
}
