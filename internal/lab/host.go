package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// HostConfig is the configuration of a host.
type HostConfig struct {
	Name       string // in the lab; the host's system sets its own host name
	Base       *Base
	Interfaces []Interface
	Seed       string // a NoCloud seed: an ISO or a directory with its files; empty means none
}

// Host is a machine of the lab: its disk, its interfaces and, while it runs, a container with its own systemd.
type Host struct {
	HostConfig
	lab *Lab
	uid int // the user of this machine that is root of the host

	mu       sync.Mutex
	boot     *boot // nil while the host is off
	services []*service
	console  *tail
	broken   map[string]bool // interfaces whose cable is cut
	cards    map[string]net.HardwareAddr
}

// AddHost adds a host. It is off, and its disk can be written to before Start.
func (l *Lab) AddHost(config HostConfig) (*Host, error) {
	h := &Host{HostConfig: config, lab: l, console: &tail{limit: 64 << 10}, broken: map[string]bool{}}
	err := within(l.space.pid, func() (err error) {
		h.uid, err = mountDisk(config.Base, labDir+"/hosts/"+h.Name)
		return err
	})
	if err == nil {
		// The fstab of a disk image names its partitions, but the host's disk has none.
		err = h.WriteFile("/etc/fstab", 0o644, []byte("# the lab has mounted everything\n"))
	}
	if err == nil {
		err = h.adapt()
	}
	if err == nil && config.Seed != "" {
		err = h.layDownSeed(config.Seed)
	}
	if err == nil {
		err = os.Mkdir(h.cgroup(), 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot add host %s: %w", h.Name, err)
	}
	l.mu.Lock()
	l.hosts = append(l.hosts, h)
	l.mu.Unlock()
	return h, nil
}

func (h *Host) cgroup() string { return h.lab.path("/sys/fs/cgroup/" + h.Name) }

// disk returns the path of the host's root in the lab's mount namespace.
func (h *Host) disk() string { return labDir + "/hosts/" + h.Name + "/root" }

// Start powers the host on, and returns when its systemd has started. See WaitRunning.
func (h *Host) Start(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.boot != nil {
		return fmt.Errorf("cannot start host %s: it is already running", h.Name)
	}
	return h.start(ctx)
}

// Kill cuts the host's power. Everything stops at once and its links go down. No process can notice this and notify a peer
// or a client.
func (h *Host) Kill() {
	h.mu.Lock()
	b := h.boot
	if b == nil {
		h.mu.Unlock()
		return
	}
	h.boot = nil       // it does not start again by itself
	_ = h.freeze(true) // if freezing fails, the host is killed anyway
	for _, port := range b.hub {
		_ = setLink(h.lab.links, port, false)
	}
	h.stopServices()
	_ = syscall.Kill(b.leader, syscall.SIGKILL)
	_ = h.freeze(false) // for the next boot
	h.mu.Unlock()
	<-b.off
}

// Pause stops the host as a hypervisor does that suspends or moves a virtual machine: its processes do not run, packets to
// it are lost, its links stay up, and it cannot notify anyone. A second Pause changes nothing.
func (h *Host) Pause() error {
	return h.pause("pause", func(b *boot) error {
		if err := h.freeze(true); err != nil {
			return err
		}
		for _, port := range b.hub {
			if err := h.lab.leave(port); err != nil { // its kernel is this machine's, and would still answer
				return err
			}
		}
		return nil
	})
}

// Resume continues a paused host. It does nothing if the host is not paused.
func (h *Host) Resume() error {
	return h.pause("resume", func(b *boot) error {
		for _, iface := range h.Interfaces {
			if err := h.lab.join(b.hub[iface.Name], iface.Network); err != nil {
				return err
			}
		}
		return h.freeze(false)
	})
}

func (h *Host) pause(verb string, do func(b *boot) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.boot == nil {
		return fmt.Errorf("cannot %s host %s: it is off", verb, h.Name)
	}
	if err := do(h.boot); err != nil {
		return fmt.Errorf("cannot %s host %s: %w", verb, h.Name, err)
	}
	return nil
}

// freeze freezes or thaws every process of the host, and waits a moment for the last one: cgroups(7) of the kernel's
// documentation, cgroup.freeze. nspawn and its parents are not frozen, because they must notice when the host dies. If they
// were frozen when this process is killed, they would keep the lab from ending.
func (h *Host) freeze(frozen bool) error {
	value, event := "0", "frozen 0"
	if frozen {
		value, event = "1", "frozen 1"
	}
	cgroup := h.cgroup() + "/payload" // nspawn uses this path
	if err := os.WriteFile(cgroup+"/cgroup.freeze", []byte(value), 0o644); err != nil {
		return err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 500 {
		events, err := os.ReadFile(cgroup + "/cgroup.events")
		if err != nil {
			return err
		}
		if strings.Contains(string(events), event) {
			return nil
		}
		<-tick.C
	}
	return fmt.Errorf("its processes are not %q after half a second", event)
}

// Stop shuts the host down cleanly, and waits until it is off.
func (h *Host) Stop(ctx context.Context) error {
	b, err := h.running()
	if err != nil {
		return err
	}
	// systemd(1): SIGRTMIN+4 starts poweroff.target.
	if err := syscall.Kill(b.leader, syscall.Signal(34+4)); err != nil {
		return fmt.Errorf("cannot stop host %s: %w", h.Name, err)
	}
	select {
	case <-b.off:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot stop host %s: it has not shut down: %w", h.Name, ctx.Err())
	}
}

// Reboot reboots the host cleanly, and returns when its systemd has started again.
func (h *Host) Reboot(ctx context.Context) error {
	b, err := h.running()
	if err != nil {
		return err
	}
	// systemd(1): SIGINT starts ctrl-alt-del.target, which is reboot.target.
	if err := syscall.Kill(b.leader, syscall.SIGINT); err != nil {
		return fmt.Errorf("cannot reboot host %s: %w", h.Name, err)
	}
	select {
	case <-b.off:
	case <-ctx.Done():
		return fmt.Errorf("cannot reboot host %s: it has not shut down: %w", h.Name, ctx.Err())
	}
	if _, err := h.running(); err != nil {
		return fmt.Errorf("cannot reboot host %s: it has shut down and did not come back: %s", h.Name, h.console)
	}
	return nil
}

// running returns the current boot of the host.
func (h *Host) running() (*boot, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.boot == nil {
		return nil, fmt.Errorf("cannot reach host %s: it is off", h.Name)
	}
	return h.boot, nil
}

// Cut disconnects the cable of an interface until Heal.
func (h *Host) Cut(iface string) error { return h.cable(iface, false) }

// Heal connects the cable of an interface again.
func (h *Host) Heal(iface string) error { return h.cable(iface, true) }

func (h *Host) cable(iface string, up bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken[iface] = !up
	if h.boot == nil {
		return nil
	}
	port, ok := h.boot.hub[iface]
	if !ok {
		return fmt.Errorf("cannot find interface %s of host %s", iface, h.Name)
	}
	return setLink(h.lab.links, port, up)
}

// Isolate disconnects an interface from all other isolated interfaces on its network, until it is undone or the host goes
// off. Cables and links stay up, and other machines on the network are reachable (bridge(8), isolated).
func (h *Host) Isolate(iface string, isolated bool) error {
	b, err := h.running()
	if err != nil {
		return err
	}
	link, err := h.lab.links.LinkByName(b.hub[iface])
	if err == nil {
		err = h.lab.links.LinkSetIsolated(link, isolated)
	}
	if err != nil {
		return fmt.Errorf("cannot isolate interface %s of host %s: %w", iface, h.Name, err)
	}
	return nil
}

// root opens the host's root: that of the running system, or its disk.
func (h *Host) root() (*os.Root, error) {
	if b, err := h.running(); err == nil {
		return os.OpenRoot(fmt.Sprintf("/proc/%d/root", b.leader))
	}
	return os.OpenRoot(h.lab.path(h.disk()))
}

// Console returns the end of the host's console output.
func (h *Host) Console() string { return h.console.String() }

// tail keeps the last bytes that are written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	data  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	t.data = t.data[max(0, len(t.data)-t.limit):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.data)
}
