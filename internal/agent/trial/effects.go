package trial

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/effect"
	"github.com/hapair/hapair/internal/wellknown"
)

// effects are what has to be done, besides writing files, for a node to run on other files.
type effects struct {
	all []effect.Effect // for people

	manager      bool // systemd reads its units anew
	tmpfiles     bool
	sysusers     bool
	firewall     bool
	certificates bool
	syslog       bool
	agent        bool // the agent's daemon is restarted
	haproxy      bool // haproxy is restarted, which a reload cannot replace
	keepalived   bool // the same of keepalived
	// cold: haproxy takes other arguments. Neither the old files with the new arguments nor the new files with the old ones would
	// pass a test, so the agent must not look at them before haproxy has been restarted.
	cold bool
	// parts: nodes with the old and with the new keepalived.conf do not hear each other.
	parts    bool
	networkd bool     // systemd-networkd reads its files anew
	reload   []string // targets that the agent's daemon takes through a change
}

// moves reports whether the node must hold no VIP meanwhile.
func (e effects) moves() bool { return e.haproxy || e.keepalived }

// effectsOf returns the effects of files that differ. targets returns the agent's target that a path belongs to, or "".
func effectsOf(files []effect.File, targets func(path string) string) effects {
	e := effects{all: effect.Of(files)}
	for _, one := range e.all {
		switch {
		case one.Unit == wellknown.AgentUnit:
			e.agent = true
		case one.Unit == wellknown.HAProxyUnit && one.Kind == effect.Restart:
			e.haproxy = true
		case one.Unit == wellknown.KeepalivedUnit && one.Kind == effect.Restart:
			e.keepalived = true
		case one.Unit == "systemd-networkd.service":
			e.networkd = true
		case one.Unit == wellknown.FirewallUnit:
			e.firewall = true
		case one.Unit == "rsyslog.service":
			e.syslog = true
		}
	}
	for i := range files {
		f := &files[i]
		if !f.Differs() {
			continue
		}
		if name := targets(f.Path); name != "" && !slices.Contains(e.reload, name) {
			e.reload = append(e.reload, name)
		}
		switch dir := filepath.Dir(f.Path); {
		case f.Path == wellknown.KeepalivedConfig:
			e.parts = f.Old != nil && f.New != nil && effect.Parts(f.Old, f.New)
		case f.Path == wellknown.HAProxySockets && (f.Old == nil || f.New == nil):
			e.haproxy, e.cold = true, true // haproxy's arguments name it
		case f.Path == wellknown.HAProxyDefaults:
			e.cold = true
		case f.Path == wellknown.Certificates:
			e.certificates = true
		case dir == "/usr/lib/tmpfiles.d":
			e.tmpfiles = true
		case dir == "/usr/lib/sysusers.d":
			e.sysusers = true
		case strings.Contains(dir, "/systemd/system"):
			e.manager = true
		}
	}
	return e
}

// words are the effects for people.
func (e effects) words() []string {
	var all []string
	for _, one := range e.all {
		if one.Kind != effect.Nothing {
			all = append(all, one.String())
		}
	}
	if e.moves() {
		all = append(all, "the node gives its virtual IPs to a peer meanwhile")
	}
	switch {
	case e.parts && e.moves():
		all = append(all, "nodes with the old and the new keepalived.conf do not hear each other: all nodes but the last one stay in maintenance until that one has left the service; then its virtual IPs have no holder for some seconds. To avoid that, roll the two changes out one after the other")
	case e.parts:
		all = append(all, "nodes with the old and the new keepalived.conf do not hear each other: all nodes but the last one stay in maintenance until that one has it, too; then its virtual IPs have no holder for about three advertisements")
	}
	return all
}
