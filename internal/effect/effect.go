// Package effect says what new files do to a node: which services are reloaded or restarted, and whether VIPs move. The
// order of kinds is the order of what they cost.
package effect

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/wellknown"
)

// Kind is what a difference costs.
type Kind int

const (
	// Nothing: no service has to load it. A script or the configuration of apt is read when it is used.
	Nothing Kind = iota
	// Reload: the service loads its files, and connections and VIPs stay.
	Reload
	// Restart: the service ends and starts again. For haproxy and keepalived this must happen under maintenance.
	Restart
	// Moves: a VIP comes, goes, or may move to another node.
	Moves
	// Package: a package is installed, removed or upgraded.
	Package
	// Image: the node must be booted anew, from a new image or with a new seed.
	Image
)

var kindNames = [...]string{"nothing", "reload", "restart", "VIP moves", "package", "new image"}

func (k Kind) String() string { return kindNames[k] }

// MarshalText returns the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(text []byte) error {
	i := slices.Index(kindNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("cannot read the effect %q: it is not known", text)
	}
	*k = Kind(i)
	return nil
}

// Effect is one consequence of a difference.
type Effect struct {
	Kind Kind   `json:"kind"`
	Unit string `json:"unit,omitempty"` // the systemd unit to reload or restart; empty: none
	Why  string `json:"why"`            // the cause: a path, a VIP, a package
}

// String returns the effect in words: "reload of haproxy.service (/etc/haproxy/haproxy.cfg)".
func (e Effect) String() string {
	if e.Unit != "" {
		return fmt.Sprintf("%v of %s (%s)", e.Kind, e.Unit, e.Why)
	}
	return fmt.Sprintf("%v (%s)", e.Kind, e.Why)
}

// File is a file of a node before and after a change. Meta is mode and owner, in any fixed format: "0640 root:haproxy".
type File struct {
	Path             string
	Old, New         []byte // nil: the file does not exist
	OldMeta, NewMeta string // empty: unknown, or the file does not exist
}

// Differs reports whether the file differs.
func (f *File) Differs() bool {
	return (f.Old == nil) != (f.New == nil) || !bytes.Equal(f.Old, f.New) || f.OldMeta != "" && f.NewMeta != "" && f.OldMeta != f.NewMeta
}

// Of returns the effects of all files that differ, the most costly ones first, and of equal ones in the order of units and
// causes. A unit that is restarted is not also reloaded.
func Of(files []File) []Effect {
	var all []Effect
	for i := range files {
		if files[i].Differs() {
			all = append(all, ofFile(&files[i])...)
		}
	}
	return Merge(all)
}

// Merge sorts effects, joins those of the same kind and unit, and drops reloads of units that are restarted.
func Merge(all []Effect) []Effect {
	slices.SortStableFunc(all, func(a, b Effect) int {
		return cmp.Or(-cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Why, b.Why))
	})
	var out []Effect
	for _, e := range all {
		same := func(o Effect) bool { return e.Unit != "" && o.Unit == e.Unit && o.Kind >= e.Kind && o.Kind <= Restart }
		switch i := slices.IndexFunc(out, same); {
		case slices.Contains(out, e):
		case i >= 0 && out[i].Kind == e.Kind:
			out[i].Why += ", " + e.Why
		case i < 0:
			out = append(out, e)
		}
	}
	return out
}

// Worst returns the most costly kind of effects; Nothing if there are none.
func Worst(effects []Effect) Kind {
	worst := Nothing
	for _, e := range effects {
		worst = max(worst, e.Kind)
	}
	return worst
}

// byPath has the effects of single files, by path.
var byPath = map[string]Effect{
	wellknown.HAProxyConfig:                                    {Kind: Reload, Unit: wellknown.HAProxyUnit},
	wellknown.HAProxySockets:                                   {Kind: Reload, Unit: wellknown.HAProxyUnit},
	wellknown.HAProxyDefaults:                                  {Kind: Restart, Unit: wellknown.HAProxyUnit}, // the unit's environment
	wellknown.AgentConfig:                                      {Kind: Restart, Unit: wellknown.AgentUnit},
	wellknown.Agent:                                            {Kind: Restart, Unit: wellknown.AgentUnit},
	"/usr/lib/systemd/system/" + wellknown.AgentUnit:           {Kind: Restart, Unit: wellknown.AgentUnit},
	wellknown.SysctlConfig:                                     {Kind: Reload, Unit: "systemd-sysctl.service"},
	wellknown.FirewallRules:                                    {Kind: Reload, Unit: wellknown.FirewallUnit},
	"/usr/lib/systemd/system/" + wellknown.FirewallUnit:        {Kind: Reload, Unit: wellknown.FirewallUnit},
	wellknown.SyslogConfig:                                     {Kind: Restart, Unit: "rsyslog.service"},
	wellknown.Certificates:                                     {Kind: Nothing},
	"/usr/lib/systemd/system/haproxy.service.d/hapair.conf":    {Kind: Restart, Unit: wellknown.HAProxyUnit},
	"/usr/lib/systemd/system/keepalived.service.d/hapair.conf": {Kind: Restart, Unit: wellknown.KeepalivedUnit},
	"/usr/lib/systemd/networkd.conf.d/hapair.conf":             {Kind: Reload, Unit: "systemd-networkd.service"},
}

// ofFile returns the effects of a file that differs.
func ofFile(f *File) []Effect {
	if f.Path == wellknown.KeepalivedConfig {
		return ofKeepalived(f)
	}
	e, known := byPath[f.Path]
	switch {
	case known:
	case path.Dir(path.Dir(f.Path)) == "/etc/systemd/network":
		e = Effect{Kind: Reload, Unit: "systemd-networkd.service"}
	case strings.HasPrefix(f.Path, "/etc/haproxy/"):
		e = Effect{Kind: Reload, Unit: wellknown.HAProxyUnit}
	case strings.HasPrefix(f.Path, "/etc/keepalived/"):
		e = Effect{Kind: Reload, Unit: wellknown.KeepalivedUnit}
	}
	e.Why = f.Path
	return []Effect{e}
}
