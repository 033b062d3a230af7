package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/units"
)

// imageFeatures returns the features of an image, as its files show them.
func (m *Machine) imageFeatures() units.Features {
	// The units themselves are in every package of ha-agent.
	f := units.Features{
		Firewall:     m.has("/etc/systemd/system/multi-user.target.wants/" + wellknown.FirewallUnit),
		Certificates: m.has(wellknown.Certificates) || m.has("/etc/systemd/system/haproxy.service.wants/"+wellknown.CertificatesUnit),
	}
	found, _ := filepath.Glob(m.path(units.Network("*").Path))
	for _, p := range found {
		f.NetworkFiles = append(f.NetworkFiles, strings.TrimSuffix(filepath.Base(filepath.Dir(p)), ".d"))
	}
	return f
}

// nodeFeatures returns the features of a node, from agent.yaml and the machine. The drop-ins for networkd are a separate
// step.
func (m *Machine) nodeFeatures(c *config.Config) units.Features {
	f := m.imageFeatures()
	return units.Features{
		Node:         true,
		Firewall:     f.Firewall || m.has(wellknown.FirewallRules),
		Certificates: f.Certificates || len(c.HAProxy.Certificates) > 0,
	}
}

// files checks type, owner, mode and content of all files that hapair ships.
func (m *Machine) files(f units.Features) step {
	return step{"all files that hapair ships are in place", func(context.Context) (string, error) {
		var wrong []string
		all := units.All(f)
		for _, file := range all {
			if why := m.fileFault(file); why != "" {
				wrong = append(wrong, why)
			}
		}
		if wrong != nil {
			return "", not("compare the files with the output of `bake render`, or bake the image again", "%s", strings.Join(wrong, "; "))
		}
		return fmt.Sprintf("%d files", len(all)), nil
	}}
}

// fileFault returns the problem with a file, or "" if there is none.
func (m *Machine) fileFault(want units.File) string {
	data, info, err := regular.ReadFileInfo(m.path(want.Path), regular.MaxConfig)
	switch {
	case errors.Is(err, fs.ErrNotExist) && want.Optional:
		return ""
	case errors.Is(err, fs.ErrNotExist):
		return want.Path + " is missing"
	case errors.Is(err, regular.ErrUnusable):
		return fmt.Sprintf("%s %v", want.Path, reason(err))
	case err != nil:
		return fmt.Sprintf("cannot read %s: %v", want.Path, reason(err))
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
		return fmt.Sprintf("%s belongs to user %d, not to root", want.Path, st.Uid)
	}
	mode := info.Mode().Perm()
	switch {
	case want.Content == nil && mode&^want.Mode&0o027 != 0:
		return fmt.Sprintf("%s has mode %04o, which allows more than %04o", want.Path, mode, want.Mode)
	case want.Content != nil && mode != want.Mode:
		return fmt.Sprintf("%s has mode %04o, not %04o", want.Path, mode, want.Mode)
	case want.Content != nil && !bytes.Equal(data, want.Content):
		return want.Path + " differs from the file that this ha-agent ships"
	}
	return ""
}

// interfaces returns the interfaces that take virtual IPs, and those on which keepalived speaks VRRP.
func (m *Machine) interfaces(c *config.Config) []string {
	var all []string
	if b, err := regular.ReadFile(m.path(c.Keepalived.Config), regular.MaxConfig); err == nil { // whether it can be read is a separate step
		for _, in := range keepalived.Read(b).Instances {
			if in.Interface != "" {
				all = append(all, in.Interface)
			}
		}
	}
	for _, v := range c.VIPs {
		all = append(all, v.Interface)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// network checks the drop-in that makes systemd-networkd keep virtual IPs. The name of its directory must be that of the
// network file that networkd uses for the interface, which is not always named after the interface. networkd records the
// file in /run/systemd/netif/links.
func (m *Machine) network(name string) step {
	return step{"systemd-networkd leaves the VIPs on " + name + " alone", func(context.Context) (string, error) {
		index, err := regular.ReadFile(m.path("/sys/class/net/"+name+"/ifindex"), regular.MaxState)
		if errors.Is(err, fs.ErrNotExist) {
			return "", not("give its MAC in the spec, as in {name: "+name+", mac: 52:54:00:a8:38:65}, or use the name that `ip link` shows", "there is no interface %s", name)
		}
		if err != nil {
			return "", err
		}
		link, err := regular.ReadFile(m.path("/run/systemd/netif/links/"+strings.TrimSpace(string(index))), regular.MaxState)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		used := ""
		for line := range strings.Lines(string(link)) {
			if file, ok := strings.CutPrefix(line, "NETWORK_FILE="); ok {
				used = strings.TrimSpace(file)
			}
		}
		if used == "" {
			return "networkd does not manage the interface", nil
		}
		want := units.Network(path.Base(used))
		if why := m.fileFault(want); why != "" {
			return "", not("write the file, and run `networkctl reload`", "%s (networkd uses %s)", why, used)
		}
		return want.Path, nil
	}}
}

// release compares the node's release with the one for which it was baked. A difference is a warning, because the node may
// have been upgraded.
func (m *Machine) release(want string) step {
	return step{"the release is the one for which the node was baked", func(context.Context) (string, error) {
		b, err := regular.ReadFile(m.path("/etc/os-release"), regular.MaxState)
		if err != nil {
			return "", fmt.Errorf("cannot read /etc/os-release: %w", reason(err))
		}
		is := osRelease(b, "VERSION_CODENAME")
		if want != "" && is != want {
			return "", warning(fmt.Sprintf("the node runs %q, but its files were baked for %q: set image.release in the spec, and bake again", is, want))
		}
		return is, nil
	}}
}

// osRelease returns the value of a key of os-release(5).
func osRelease(data []byte, key string) string {
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}

// inService reports whether the node is in maintenance. In maintenance every check fails.
func (m *Machine) inService() step {
	return step{"the node is in service", func(context.Context) (string, error) {
		if _, err := os.Lstat(m.path(m.Mark)); err == nil {
			return "", warning("it is in maintenance and holds no VIP; end it with `ha-agent maintenance off`")
		}
		return "", nil
	}}
}

// drift checks that the services run the files on the disk. A refused file stays on the disk until a person fixes it.
func (m *Machine) drift() step {
	return step{"the services run the files on the disk", func(ctx context.Context) (string, error) {
		problems, err := m.Drift(ctx)
		if err != nil {
			return "unknown: the agent does not answer", nil // whether the agent runs is a separate step
		}
		if len(problems) > 0 {
			return "", not("ha-agent status", "%s", strings.Join(problems, "; "))
		}
		return "", nil
	}}
}
