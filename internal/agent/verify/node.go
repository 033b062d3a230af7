package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/wellknown"
)

// Node checks the requirements for a running node.
func (m *Machine) Node(ctx context.Context, c *config.Config) Results {
	steps := []step{m.inForce(c), m.sysctlFile(c.Sysctl.File)}
	steps = append(steps, m.packages(c.Packages)...)
	steps = append(steps, m.release(c.Release), m.agent(), m.files(m.nodeFeatures(c)), m.user())
	for _, name := range m.interfaces(c) {
		steps = append(steps, m.network(name))
	}
	for _, unit := range []string{c.HAProxy.Unit, c.Keepalived.Unit, wellknown.AgentUnit} {
		steps = append(steps, m.enabled(unit), m.active(unit))
	}
	if m.has(wellknown.FirewallRules) {
		steps = append(steps, m.enabled(wellknown.FirewallUnit), m.active(wellknown.FirewallUnit), m.firewall())
	}
	steps = append(steps, m.valid(c.HAProxy.Config, checkHAProxy), m.valid(c.Keepalived.Config, keepalived.Test),
		m.routerID(c), m.hostname(c), m.log(c))
	for _, l := range c.Listeners {
		steps = append(steps, m.listens(l.Service, l.Address))
	}
	steps = append(steps, m.certificates(c)...)
	if c.HAProxy.Stats != nil {
		steps = append(steps, m.stats(c.HAProxy.Stats.Address))
	}
	steps = append(steps, m.inService(), m.drift(), step{"haproxy answers", func(context.Context) (string, error) {
		if err := m.Check(c.HAProxy.CheckSocket); err != nil {
			return "", not("systemctl status "+c.HAProxy.Unit, "%v", err)
		}
		return "", nil
	}})
	for _, v := range c.VIPs {
		steps = append(steps, m.vip(v))
		if v.OnChange != nil {
			steps = append(steps, m.onChange(v))
		}
	}
	return m.carryOut(ctx, append(steps, m.groups(c)...))
}

func (m *Machine) has(path string) bool {
	_, err := os.Lstat(m.path(path))
	return err == nil
}

// inForce checks the kernel's current settings, because a file in sysctl.d alone only takes effect after a reboot.
func (m *Machine) inForce(c *config.Config) step {
	return step{"haproxy can bind addresses that the machine does not hold now", func(context.Context) (string, error) {
		for _, key := range nonlocalBind {
			b, err := regular.ReadFile(m.path("/proc/sys/"+strings.ReplaceAll(key, ".", "/")), regular.MaxState)
			if errors.Is(err, fs.ErrNotExist) && strings.Contains(key, "ipv6") && !anyIPv6(c) {
				continue // the kernel has no IPv6, and no VIP needs it
			}
			if err != nil {
				return "", fmt.Errorf("cannot read %s: %w", key, reason(err))
			}
			if v := strings.TrimSpace(string(b)); v != "1" {
				return "", not("sysctl -p "+c.Sysctl.File, "%s is %s", key, v)
			}
		}
		return "", nil
	}}
}

func anyIPv6(c *config.Config) bool {
	for _, v := range c.VIPs {
		for _, a := range v.Addresses {
			if a.Addr().Is6() {
				return true
			}
		}
	}
	return false
}

func (m *Machine) active(unit string) step {
	return step{unit + " is active", func(ctx context.Context) (string, error) {
		r, err := m.Run(ctx, "systemctl", "is-active", unit)
		if err != nil {
			return "", err
		}
		if r.Status != 0 {
			return "", not("systemctl status "+unit, "systemctl reports: %s", lastLine(r.Lines()))
		}
		return "", nil
	}}
}

func (m *Machine) routerID(c *config.Config) step {
	return step{"router_id is the node's name", func(context.Context) (string, error) {
		b, err := regular.ReadFile(m.path(c.Keepalived.Config), regular.MaxConfig)
		if err != nil {
			return "", fmt.Errorf("cannot read %s: %w", c.Keepalived.Config, reason(err))
		}
		if id := keepalived.Read(b).RouterID; id != c.Node {
			return "", not("write router_id "+c.Node+" to "+c.Keepalived.Config, "it is %q", id)
		}
		return c.Node, nil
	}}
}

// hostname compares the host name with the node's name. hostname(5) does not allow "_", so the host name has "-" instead.
func (m *Machine) hostname(c *config.Config) step {
	return step{"the host name is the node's name", func(context.Context) (string, error) {
		name, err := m.Hostname()
		if err != nil {
			return "", fmt.Errorf("cannot read the host name: %w", err)
		}
		want := strings.ReplaceAll(c.Node, "_", "-")
		short, _, _ := strings.Cut(name, ".")
		if !strings.EqualFold(name, want) && !strings.EqualFold(short, want) {
			return "", not("hostnamectl set-hostname "+want, "it is %s", name)
		}
		return name, nil
	}}
}

// vip checks that a VIP is either held completely or not at all, and that keepalived and the kernel agree.
func (m *Machine) vip(v config.VIP) step {
	return step{fmt.Sprintf("VIP %s %s: kernel and keepalived agree", v.Name, addresses(v)), func(ctx context.Context) (string, error) {
		all, err := m.Addresses()
		if err != nil {
			return "", err
		}
		held, missing := vip.Of(v, all)
		where := "not held here"
		if len(held) > 0 {
			where = "held here"
		}
		states, err := m.States(ctx)
		if err != nil {
			if len(held) > 0 && len(missing) > 0 && len(v.Instances) < 2 {
				return "", not("systemctl restart keepalived", "only %s is held", held)
			}
			return where + "; keepalived's state is unknown: the agent does not answer", nil
		}
		return where, agree(v, states, held)
	}}
}

// agree compares the states of a VIP's instances with the addresses that the node holds.
func agree(v config.VIP, states map[string]string, held []netip.Addr) error {
	masters, known := 0, 0
	for _, name := range v.Instances {
		switch keepalived.State(states[name]) {
		case keepalived.Master:
			masters++
			known++
		case "":
		default:
			known++
		}
	}
	switch {
	case known < len(v.Instances):
		return nil // keepalived has not reported a state yet
	case masters == len(v.Instances) && len(held) < len(v.Addresses):
		return not("systemctl restart keepalived", "keepalived is MASTER, but the kernel has only %v", held)
	case masters == 0 && len(held) > 0:
		return not("ha-agent status", "keepalived is not MASTER, but the kernel has %v", held)
	}
	return nil
}

func addresses(v config.VIP) string {
	var parts []string
	for _, a := range v.Addresses {
		parts = append(parts, a.String())
	}
	return strings.Join(parts, " ")
}
