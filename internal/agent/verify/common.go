package verify

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/sysctl"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/wellknown"
)

// nonlocalBind are the kernel's settings that allow haproxy to bind a VIP that another node holds.
var nonlocalBind = [...]string{"net.ipv4.ip_nonlocal_bind", "net.ipv6.ip_nonlocal_bind"}

func (m *Machine) packages(names []string) []step {
	all := append([]string{"haproxy", "keepalived"}, names...)
	slices.Sort(all)
	var steps []step
	for _, name := range slices.Compact(all) {
		steps = append(steps, step{"package " + name + " is installed", func(ctx context.Context) (string, error) {
			wayOut := "apt-get install " + name
			r, err := m.Run(ctx, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", name)
			if err != nil {
				return "", err
			}
			status, version, _ := strings.Cut(strings.TrimSpace(r.Output), " ")
			if r.Status != 0 {
				return "", not(wayOut, "it is not installed")
			}
			if status != "installed" {
				return "", not(wayOut, "dpkg reports its state as %s", status)
			}
			return version, nil
		}})
	}
	return steps
}

// agent checks the agent's binary with the same rules as keepalived's script security: only root may be able to change it or
// the directories above it.
func (m *Machine) agent() step {
	return step{"the agent is installed, and only root can change it", func(context.Context) (string, error) {
		fi, err := os.Stat(m.path(wellknown.Agent))
		if err != nil {
			return "", not("install it to "+wellknown.Agent, "%s does not exist", wellknown.Agent)
		}
		if !fi.Mode().IsRegular() || fi.Mode().Perm()&0o111 != 0o111 {
			return "", not("chmod 0755 "+wellknown.Agent, "%s has mode %v: not every user can run it", wellknown.Agent, fi.Mode())
		}
		for _, p := range []string{wellknown.Agent, "/usr/bin", "/usr", "/"} {
			fi, err := os.Stat(m.path(p))
			if err != nil {
				return "", err
			}
			if st, ok := fi.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
				return "", not("chown root:root "+p, "%s belongs to user %d: keepalived would not run the check", p, st.Uid)
			}
			if fi.Mode().Perm()&0o022 != 0 {
				return "", not("chmod go-w "+p, "%s has mode %v: keepalived would not run the check", p, fi.Mode())
			}
		}
		return wellknown.Agent, nil
	}}
}

func (m *Machine) user() step {
	return step{"user " + wellknown.CheckUser + " exists, and cannot log in", func(context.Context) (string, error) {
		const wayOut = "systemd-sysusers /usr/lib/sysusers.d/hapair.conf"
		b, err := regular.ReadFile(m.path("/etc/passwd"), regular.MaxState)
		if err != nil {
			return "", err
		}
		for line := range bytes.Lines(b) {
			f := strings.Split(strings.TrimSpace(string(line)), ":")
			if len(f) < 7 || f[0] != wellknown.CheckUser {
				continue
			}
			if shell := f[6]; !strings.HasSuffix(shell, "/nologin") && !strings.HasSuffix(shell, "/false") {
				return "", not("usermod -s /usr/sbin/nologin "+wellknown.CheckUser, "its shell is %s", shell)
			}
			if f[2] == "0" {
				return "", not(wayOut, "it is root")
			}
			return "", nil
		}
		return "", not(wayOut, "it is not in /etc/passwd: keepalived would not run the check")
	}}
}

func (m *Machine) enabled(unit string) step {
	return step{unit + " is enabled", func(ctx context.Context) (string, error) {
		r, err := m.Run(ctx, "systemctl", "is-enabled", unit)
		if err != nil {
			return "", err
		}
		state := lastLine(r.Lines())
		if r.Status != 0 || (state != "enabled" && state != "enabled-runtime") {
			return "", not("systemctl enable "+unit, "systemctl reports: %s", state)
		}
		return "", nil
	}}
}

func (m *Machine) sysctlFile(path string) step {
	return step{"haproxy can bind addresses that the machine does not hold, also after a reboot", func(context.Context) (string, error) {
		b, err := regular.ReadFile(m.path(path), regular.MaxConfig)
		if err != nil {
			return "", not("bake the image again", "cannot read %s: %v", path, reason(err))
		}
		for _, key := range nonlocalBind {
			if sysctl.Value(string(b), key) != "1" {
				return "", not("write "+key+" = 1 to "+path, "%s does not set %s to 1", path, key)
			}
		}
		return path, nil
	}}
}

func (m *Machine) valid(path string, ask func(context.Context, validator.Runner, string) validator.Answer) step {
	return step{path + " is valid", func(ctx context.Context) (string, error) {
		switch a := ask(ctx, m.Run, m.path(path)); a.Verdict {
		case validator.Good:
			return "", nil
		case validator.Bad:
			return "", not("correct it", "%s", a.Reason())
		default:
			return "no verdict, " + a.Reason(), nil
		}
	}}
}

// checkHAProxy tests a haproxy.cfg, together with the file of hapair's sockets if it exists.
func checkHAProxy(ctx context.Context, run validator.Runner, config string) validator.Answer {
	return haproxy.Test(ctx, run, haproxy.Files(config)...)
}

func lastLine(lines []string) string {
	if len(lines) == 0 {
		return "nothing"
	}
	return lines[len(lines)-1]
}

// reason returns an error without its path, for a message that already contains the path.
func reason(err error) error {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err
	}
	return err
}
