package lab

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// boot is one run of a host, from power on to power off.
type boot struct {
	leader int               // process ID of the host's systemd, outside its namespace
	hub    map[string]string // the hub's end of each interface's cable
	exited chan struct{}     // closed when nspawn has exited
	status int               // nspawn's exit status, valid after exited is closed
	off    chan struct{}     // closed when everything of the boot is gone and, after a reboot, the next boot has begun
}

// netns returns the path of a boot's network namespace.
func (b *boot) netns() string { return fmt.Sprintf("/proc/%d/ns/net", b.leader) }

// start boots the host. The caller holds the lock. nspawn creates a new network namespace for each boot, so that everything
// that a machine loses with its power (addresses, sysctls, connections) is gone.
func (h *Host) start(ctx context.Context) error {
	b := &boot{hub: map[string]string{}, exited: make(chan struct{}), off: make(chan struct{})}
	for _, iface := range h.Interfaces {
		b.hub[iface.Name] = h.lab.newPort()
	}
	if err := h.spawn(ctx, b); err != nil {
		return fmt.Errorf("cannot start host %s: %w", h.Name, err)
	}
	h.boot = b
	err := h.plugIn(b)
	if err == nil {
		err = h.startServices()
	}
	if err != nil {
		_ = syscall.Kill(b.leader, syscall.SIGKILL)
		return fmt.Errorf("cannot start host %s: %w", h.Name, err)
	}
	return nil
}

// plugIn connects the hub's ends of the host's cables, which nspawn has created, to their networks.
func (h *Host) plugIn(b *boot) error {
	for _, iface := range h.Interfaces {
		if err := setHardwareAddress(b.netns(), iface.Name, h.HardwareAddress(iface.Name)); err != nil {
			return err
		}
		if err := h.lab.join(b.hub[iface.Name], iface.Network); err != nil {
			return err
		}
		if err := setLink(h.lab.links, b.hub[iface.Name], !h.broken[iface.Name]); err != nil {
			return err
		}
	}
	return nil
}

// spawn runs systemd-nspawn, and finds the host's systemd.
func (h *Host) spawn(ctx context.Context, b *boot) error {
	cgroup, err := os.Open(h.cgroup())
	if err != nil {
		return err
	}
	defer cgroup.Close()
	args := []string{"--quiet", "--directory=" + h.disk(), "--boot", "--machine=" + h.Name, "--settings=no", "--register=no",
		"--keep-unit", "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=pipe", "--private-network",
		"--rlimit=NOFILE=" + openFiles(),
		// With a user namespace, root of a host has privileges over the host's own namespaces, but not over this machine.
		fmt.Sprintf("--private-users=%d:%d", h.uid, hostUsers), "--private-users-ownership=off"}
	args = append(args, niceLimit()...)
	for _, iface := range h.Interfaces {
		args = append(args, "--network-veth-extra="+b.hub[iface.Name]+":"+iface.Name)
	}
	// The process outlives ctx, which only limits the start.
	cmd := h.lab.space.command(context.WithoutCancel(ctx), "systemd-nspawn", args...)
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(cgroup.Fd())
	cmd.Stdout, cmd.Stderr = h.console, h.console
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = cmd.Wait()
		b.status = cmd.ProcessState.ExitCode()
		close(b.exited)
		h.ended(b)
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if b.leader = findInit(cmd.Process.Pid, 4); b.leader != 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-b.exited:
			return fmt.Errorf("systemd-nspawn exited with status %d: %s", b.status, h.console)
		case <-ctx.Done():
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			return ctx.Err()
		}
	}
}

// findInit finds the first process of a PID namespace below pid that has become systemd.
func findInit(pid, depth int) int {
	if depth == 0 {
		return 0
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, field := range strings.Fields(string(children)) {
		var child int
		if _, err := fmt.Sscan(field, &child); err != nil {
			continue
		}
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child))
		if string(comm) == "systemd\n" && strings.HasSuffix(nspid(child), "\t1") {
			return child
		}
		if found := findInit(child, depth-1); found != 0 {
			return found
		}
	}
	return 0
}

// nspid returns the NSpid line of a process: its ID in every PID namespace, the innermost last.
func nspid(pid int) string {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "NSpid:") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// exitReboot is the exit status of nspawn if the container requests a reboot, under --keep-unit.
const exitReboot = 133

// ended waits for the end of nspawn, and removes what is left of the boot. It starts a host that rebooted again.
func (h *Host) ended(b *boot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer close(b.off)
	if h.boot != b {
		return
	}
	h.boot = nil
	h.stopServices()
	if b.status == exitReboot {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := h.start(ctx); err != nil {
			fmt.Fprintf(h.console, "lab: %v\n", err)
		}
	}
}
