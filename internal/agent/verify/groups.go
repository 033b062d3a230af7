package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/regular"
)

// groups checks that this node holds either all VIPs of a vrrp_sync_group or none.
func (m *Machine) groups(c *config.Config) []step {
	b, err := regular.ReadFile(m.path(c.Keepalived.Config), regular.MaxConfig)
	if err != nil {
		return nil // whether it can be read is a separate step
	}
	var steps []step
	for _, g := range keepalived.Read(b).Groups {
		steps = append(steps, step{fmt.Sprintf("the VIPs of group %s are together", g.Name), func(ctx context.Context) (string, error) {
			states, err := m.States(ctx)
			if err != nil {
				return "unknown: the agent does not answer", nil // whether the agent runs is a separate step
			}
			return together(g, states)
		}})
	}
	return steps
}

// together reports whether this node holds the VIPs of a group. If it holds only some of them, it returns an error.
func together(g keepalived.Group, states map[string]string) (string, error) {
	var here, away []string
	for _, name := range g.Members {
		switch keepalived.State(states[name]) {
		case keepalived.Master:
			here = append(here, name)
		case "":
			return "unknown: keepalived has not reported a state yet", nil
		default:
			away = append(away, name)
		}
	}
	switch {
	case len(here) == 0:
		return "not held here", nil
	case len(away) > 0:
		return "", not("systemctl restart keepalived", "%s are MASTER, but %s are not", strings.Join(here, " "), strings.Join(away, " "))
	}
	return "held here", nil
}

// onChange checks that a VIP's command can be run.
func (m *Machine) onChange(v config.VIP) step {
	program, _, _ := strings.Cut(v.OnChange.Command, " ")
	return step{fmt.Sprintf("the on_change command of VIP %s can be run", v.Name), func(context.Context) (string, error) {
		info, err := os.Stat(m.path(program))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", not("install it in the image, or with cloud_config", "%s does not exist", program)
		case err != nil:
			return "", err
		case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
			return "", not("chmod 755 "+program, "%s is not an executable file", program)
		case info.Mode().Perm()&0o022 != 0:
			return "", not("chmod go-w "+program, "others than root can change %s", program)
		}
		return program, nil
	}}
}
