package trial

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/effect"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/wellknown"
)

// plan finds out what differs, and what has to be done about it.
func (a *application) plan() error {
	conf, err := agentConfig(a.to)
	if err != nil {
		return err
	}
	a.targets = targetOf(conf)
	a.kinds = map[string]difference{}
	var files []effect.File
	for _, f := range a.to.Files {
		d, err := differs(f)
		if err != nil {
			return fmt.Errorf("cannot compare %s: %w", f.Path, err)
		}
		if d == same {
			continue
		}
		a.changed = append(a.changed, f)
		a.kinds[f.Path] = d
		if d != otherOwner {
			old, _ := onDisk(f.Path) // one that cannot be read is replaced like one that is not there
			if moved := strings.Replace(f.Path, "/usr/lib/systemd/", "/etc/systemd/", 1); slices.Contains(a.gone, moved) {
				old, _ = onDisk(moved) // it only moves
			}
			files = append(files, effect.File{Path: f.Path, Old: old.Data, New: append([]byte{}, f.Data...)})
		}
	}
	for _, p := range a.gone {
		files = append(files, effect.File{Path: p, Old: []byte{}})
	}
	if other, err := a.otherAgent(); err != nil {
		return err
	} else if other {
		files = append(files, effect.File{Path: wellknown.Agent, Old: []byte("old"), New: []byte("new")})
	}
	a.effects = effectsOf(files, a.targets)
	return nil
}

// otherAgent reports whether the content has another program of the agent than the node.
func (a *application) otherAgent() (bool, error) {
	if a.to.Agent == "" {
		return false, nil
	}
	now, err := fileDigest(wellknown.Agent)
	if err != nil {
		return false, fmt.Errorf("cannot compare %s: %w", wellknown.Agent, err)
	}
	return now != a.to.Agent, nil
}

// agentConfig is the agent.yaml of a content.
func agentConfig(c revision.Content) (*config.Config, error) {
	f, ok := c.File(wellknown.AgentConfig)
	if !ok {
		return nil, fmt.Errorf("cannot use the revision: it has no %s", wellknown.AgentConfig)
	}
	conf, problems := config.Parse(f.Path, f.Data)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("cannot use the revision's agent.yaml:\n%w", err)
	}
	return conf, nil
}

// targetOf returns which target of the agent a path belongs to, as an agent.yaml says.
func targetOf(conf *config.Config) func(path string) string {
	return func(path string) string {
		switch {
		case path == conf.Sysctl.File:
			return "sysctl"
		case path == conf.Keepalived.Config:
			return "keepalived"
		case path == conf.HAProxy.Config, slices.Contains(conf.HAProxy.Files, path):
			return "haproxy"
		}
		for _, c := range conf.HAProxy.Certificates {
			if c == path || strings.HasSuffix(c, "/") && filepath.Dir(path)+"/" == c {
				return "haproxy"
			}
		}
		return ""
	}
}
