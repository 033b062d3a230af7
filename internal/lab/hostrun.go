package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os/exec"
	"path"
	"strings"
	"time"
)

// Command returns a command that runs in the host as root. It is killed with all its children when ctx ends.
func (h *Host) Command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	b, err := h.running()
	if err != nil {
		return nil, err
	}
	return enter(ctx, b.leader, hostNamespaces(), name, args...), nil
}

// Run runs a command in the host, and returns its output (stdout and stderr together) and its exit status. An error means
// that there is no status.
func (h *Host) Run(ctx context.Context, name string, args ...string) (out string, status int, err error) {
	cmd, err := h.Command(ctx, name, args...)
	if err != nil {
		return "", -1, err
	}
	return run(cmd)
}

// Must runs a command, and returns its output. An exit status other than 0 is an error.
func (h *Host) Must(ctx context.Context, name string, args ...string) (string, error) {
	out, status, err := h.Run(ctx, name, args...)
	if err != nil {
		return out, fmt.Errorf("on %s: %w", h.Name, err)
	}
	if status != 0 {
		return out, fmt.Errorf("on %s: %s %s exited with status %d:\n%s", h.Name, name, strings.Join(args, " "), status, lastLines(out, 40))
	}
	return out, nil
}

// WaitRunning waits until the host's systemd has finished the boot, including cloud-init. If units failed, the error names
// them and contains their logs.
func (h *Host) WaitRunning(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	state := ""
	for {
		out, _, err := h.Run(ctx, "systemctl", "is-system-running")
		if err == nil {
			state = strings.TrimSpace(out)
		}
		switch state {
		case "running":
			return nil
		case "degraded", "maintenance":
			return fmt.Errorf("host %s is %s:\n%s", h.Name, state, h.failures(ctx))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			jobs, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			out, _, _ := h.Run(jobs, "systemctl", "list-jobs", "--no-pager")
			return fmt.Errorf("host %s is not running but %q: %w\n%s", h.Name, state, ctx.Err(), out)
		}
	}
}

func (h *Host) failures(ctx context.Context) string {
	out, _, _ := h.Run(ctx, "sh", "-c", `systemctl list-units --failed --plain --no-legend --no-pager
for u in $(systemctl list-units --failed --plain --no-legend --no-pager | cut -d" " -f1); do journalctl --no-pager -b -n 20 -u "$u"; done`)
	return out
}

// Logs returns the end of the current boot's journal, or of the console if there is no journal.
func (h *Host) Logs(ctx context.Context, lines int) string {
	out, status, err := h.Run(ctx, "journalctl", "--no-pager", "-b", "-o", "short-precise", "-n", fmt.Sprint(lines))
	if err != nil || status != 0 {
		return out + h.Console()
	}
	return out
}

// Addresses returns the addresses of an interface of the running host.
func (h *Host) Addresses(iface string) ([]netip.Prefix, error) {
	b, err := h.running()
	if err != nil {
		return nil, err
	}
	return addressesOf(b.netns(), iface)
}

// WriteFile writes a file of the host, running or not, and creates its parent directories. It sets the mode exactly; the
// owner is root. A path that leads out of the host's root through a link is an error.
func (h *Host) WriteFile(name string, mode fs.FileMode, data []byte) error {
	root, err := h.root()
	if err == nil {
		defer root.Close()
		err = writeAs(root, h.uid, name, mode, data)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s of host %s: %w", name, h.Name, err)
	}
	return nil
}

// ReadFile reads a file of the host, running or not.
func (h *Host) ReadFile(name string) ([]byte, error) {
	root, err := h.root()
	if err != nil {
		return nil, fmt.Errorf("cannot read %s of host %s: %w", name, h.Name, err)
	}
	defer root.Close()
	return root.ReadFile(strings.TrimPrefix(path.Clean("/"+name), "/"))
}

// Holds reports whether the host has an address on any interface. A host that is off has none.
func (h *Host) Holds(addr netip.Addr) (bool, error) {
	b, err := h.running()
	if err != nil {
		return false, nil
	}
	prefixes, err := addressesOf(b.netns(), "")
	if errors.Is(err, fs.ErrNotExist) { // it went off in the meantime
		return false, nil
	}
	for _, p := range prefixes {
		if p.Addr() == addr {
			return true, nil
		}
	}
	return false, err
}
