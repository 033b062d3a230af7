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

// Image checks the requirements for an image. No service of the image needs to run: a chroot is sufficient.
func (m *Machine) Image(ctx context.Context) Results {
	steps := m.packages(nil)
	steps = append(steps, m.agent(), m.files(m.imageFeatures()), m.user(), m.sysctlFile(sysctlFile),
		m.enabled("haproxy.service"), m.enabled("keepalived.service"), m.enabled(agentUnit),
		m.valid(haproxyConf, checkHAProxy), m.valid(keepalivedConf, keepalived.Test), m.noIdentity())
	return m.carryOut(ctx, steps)
}

// noIdentity checks that the image contains no identity, so that two nodes with this image differ.
func (m *Machine) noIdentity() step {
	return step{"the image has no identity of a node", func(context.Context) (string, error) {
		if _, err := os.Lstat(m.path(config.Path)); !errors.Is(err, fs.ErrNotExist) {
			return "", not("remove it", "%s exists", config.Path)
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
