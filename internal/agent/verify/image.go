package verify

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/wellknown"
)

// Image checks the requirements for an image. No service of the image needs to run: a chroot is sufficient.
func (m *Machine) Image(ctx context.Context) Results {
	steps := m.packages(nil)
	steps = append(steps, m.agent(), m.files(m.imageFeatures()), m.user(), m.sysctlFile(wellknown.SysctlConfig),
		m.enabled(wellknown.HAProxyUnit), m.enabled(wellknown.KeepalivedUnit), m.enabled(wellknown.AgentUnit),
		m.valid(wellknown.HAProxyConfig, checkHAProxy), m.valid(wellknown.KeepalivedConfig, keepalived.Test), m.noIdentity())
	return m.carryOut(ctx, steps)
}

// noIdentity checks that the image contains no identity, so that two nodes with this image differ.
func (m *Machine) noIdentity() step {
	return step{"the image has no identity of a node", func(context.Context) (string, error) {
		if _, err := os.Lstat(m.path(wellknown.AgentConfig)); !errors.Is(err, fs.ErrNotExist) {
			return "", not("remove it", "%s exists", wellknown.AgentConfig)
		}
		b, err := regular.ReadFile(m.path(wellknown.KeepalivedConfig), regular.MaxConfig)
		if err != nil {
			return "", err
		}
		f := keepalived.Read(b)
		if f.RouterID != "" {
			return "", not("bake the image again", "%s has router_id %s", wellknown.KeepalivedConfig, f.RouterID)
		}
		if len(f.Instances) > 0 {
			return "", not("bake the image again", "%s has vrrp_instance %s", wellknown.KeepalivedConfig, f.Instances[0].Name)
		}
		return "", nil
	}}
}
