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

// HostConfig is what a host is made of.
type HostConfig struct {
	Name       string // in the lab; the host's own name is for its system to set
	Base       *Base
	Interfaces []Interface
	Seed       string // a NoCloud seed: an ISO or a directory of its files; empty: none
}

// Host is a machine of the lab: its disk, its interfaces and, while it runs, a systemd of its own in a container.
type Host struct {
	HostConfig
	lab *Lab
	uid int // root of the host is this user of the machine

	mu       sync.Mutex
	boot     *boot // nil while the host is off
	services []*service
	console  *tail
	broken   map[string]bool // interfaces whose cable is cut
	cards    map[string]net.HardwareAddr
}

// AddHost gives the lab a host. It is off: its disk can be written to before Start.
func (l *Lab) AddHost(config HostConfig) (*Host, error) {
	h := &Host{HostConfig: config, lab: l, console: &tail{limit: 64 << 10}, broken: map[string]bool{}}
	err := within(l.space.pid, func() (err error) {
		h.uid, err = mountDisk(config.Base, labDir+"/hosts/"+h.Name)
		return err
	})
	if err == nil {
		// A disk image's own table names its partitions, and the host's disk is none of them.
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

// disk is where the host's root lies in the lab's mount namespace.
func (h *Host) disk() string { return labDir + "/hosts/" + h.Name + "/root" }

// Start powers the host on and returns when its systemd has begun to work. See WaitRunning.
func (h *Host) Start(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.boot != nil {
		return fmt.Errorf("cannot start host %s: it runs", h.Name)
	}
	return h.start(ctx)
}

// Kill cuts the host's power: everything stops at once, its links go down, and nobody is told. No process gets to see
// the link or its neighbours die, and say goodbye to a peer or a client.
func (h *Host) Kill() {
	h.mu.Lock()
	b := h.boot
	if b == nil {
		h.mu.Unlock()
		return
	}
	h.boot = nil       // it does not come back by itself
	_ = h.freeze(true) // that it could not is no reason to spare the host
	for _, port := range b.hub {
		_ = setLink(h.lab.links, port, false)
	}
	h.stopServices()
	_ = syscall.Kill(b.leader, syscall.SIGKILL)
	_ = h.freeze(false) // for the next boot
	h.mu.Unlock()
	<-b.off
}

// Pause stops the host as a hypervisor stops a virtual machine that it suspends or moves: nothing in it runs, nothing
// that is sent to it arrives, its cables stay up, and nobody is told. A second Pause changes nothing.
func (h *Host) Pause() error {
	return h.pause("pause", func(b *boot) error {
		if err := h.freeze(true); err != nil {
			return err
		}
		for _, port := range b.hub {
			if err := h.lab.leave(port); err != nil { // its kernel is this machine's and would go on to answer
				return err
			}
		}
		return nil
	})
}

// Resume lets a paused host go on where it was. To one that is not paused it does nothing.
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

// freeze stops or resumes every process of the host, and waits a moment for the last one to stop: cgroups(7) of the
// kernel's documentation, cgroup.freeze. nspawn and what has started it go on: they have to see when the host dies, and
// frozen they would keep all of the lab from ending when this process is killed.
func (h *Host) freeze(frozen bool) error {
	value, event := "0", "frozen 0"
	if frozen {
		value, event = "1", "frozen 1"
	}
	cgroup := h.cgroup() + "/payload" // where nspawn puts it
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

// Stop has the host shut down in order and waits until it is off.
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

// Reboot has the host reboot in order and returns when its systemd has begun to work again.
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

// running is the host's present boot.
func (h *Host) running() (*boot, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.boot == nil {
		return nil, fmt.Errorf("cannot reach host %s: it is off", h.Name)
	}
	return h.boot, nil
}

// Cut unplugs the cable of an interface, until Heal.
func (h *Host) Cut(iface string) error { return h.cable(iface, false) }

// Heal plugs the cable of an interface in again.
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

// Isolate keeps an interface from those of all other hosts that are isolated on its network, until it is undone or the
// host goes off: cables and links stay up, and what else is on the network is reached (bridge(8), isolated).
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

// root opens the host's root: of the running system, or its disk.
func (h *Host) root() (*os.Root, error) {
	if b, err := h.running(); err == nil {
		return os.OpenRoot(fmt.Sprintf("/proc/%d/root", b.leader))
	}
	return os.OpenRoot(h.lab.path(h.disk()))
}

// Console is the end of what the host printed to its console.
func (h *Host) Console() string { return h.console.String() }

// tail keeps the last bytes written to it.
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
