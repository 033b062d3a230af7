package verify

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/regular"
)

// Image checks what an image must have. Nothing needs to run on it: a chroot is enough.
func (m *Machine) Image(ctx context.Context) Results {
	steps := m.packages(nil)
	steps = append(steps, m.agent(), m.files(m.imageFeatures()), m.user(), m.sysctlFile(sysctlFile),
		m.enabled("haproxy.service"), m.enabled("keepalived.service"), m.enabled(agentUnit),
		m.valid(haproxyConf, checkHAProxy), m.valid(keepalivedConf, keepalived.Test), m.noIdentity())
	return m.carryOut(ctx, steps)
}

// noIdentity makes sure that two nodes made of one image are not the same node.
func (m *Machine) noIdentity() step {
	return step{"the image has no node's identity", func(context.Context) (string, error) {
		if _, err := os.Lstat(m.path(config.Path)); !errors.Is(err, fs.ErrNotExist) {
			return "", not("remove it", "%s is there", config.Path)
		}
		b, err := regular.ReadFile(m.path(keepalivedConf), regular.MaxConfig)
		if err != nil {
			return "", err
		}
		f := keepalived.Read(b)
		if f.RouterID != "" {
			return "", not("bake the image again", "%s has router_id %s", keepalivedConf, f.RouterID)
		}
		if len(f.Instances) > 0 {
			return "", not("bake the image again", "%s has vrrp_instance %s", keepalivedConf, f.Instances[0].Name)
		}
		return "", nil
	}}
}
