// Package machine boots disk images as virtual machines under QEMU's software emulation, on the networks of a lab. It is for
// tests of what containers do not have: firmware, boot loaders, kernels and cloud-init's network stage.
package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/internal/testing/needs"
)

// Firmware is the firmware of a machine.
type Firmware string

const (
	BIOS   Firmware = "bios"
	UEFI   Firmware = "uefi"
	Secure Firmware = "uefi with secure boot" // with Microsoft's keys, as machines are sold
)

// ovmf lists the files with the firmware's code and the initial content of its variables; see the package ovmf.
var ovmf = map[Firmware][2]string{
	UEFI:   {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
	Secure: {"/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"},
}

// Need skips a test if this computer cannot emulate a machine with the firmware. With CI=true it fails the test.
func Need(t testing.TB, firmware Firmware) {
	t.Helper()
	labtest.Need(t)
	_, err := exec.LookPath("qemu-system-x86_64")
	needs.That(t, err == nil, "%v: apt-get install qemu-system-x86", err)
	_, err = os.Stat("/dev/net/tun")
	needs.That(t, err == nil, "%v", err)
	for _, file := range ovmf[firmware] {
		_, err := os.Stat(file)
		needs.That(t, file == "" || err == nil, "%v: apt-get install ovmf", err)
	}
}

// Card is a network card: its MAC address and its network.
type Card struct {
	MAC string
	// Network is a network of the lab. If it is empty, the card is connected to Trunk.
	Network string
	Trunk   *Trunk
}

// Config is the configuration of a machine.
type Config struct {
	Name     string
	Image    string // qcow2; it is not changed
	Seed     string // path of seed.iso, which is put into a CD drive
	Firmware Firmware
	Cards    []Card
}

// diskSize is larger than any image, so that the first boot must grow the root file system.
const diskSize = "6G"

// Machine is a virtual machine. It is off until Start.
type Machine struct {
	Config
	lab  *lab.Lab
	dir  string
	vars string // file with the firmware's variables; empty if there is none

	mu    sync.Mutex
	boots int
	run   *run
}

// run is one run of QEMU.
type run struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // valid after the end of QEMU
}

// New creates a machine, which is off. It is killed at the end of the test.
func New(t testing.TB, l *lab.Lab, c Config) *Machine {
	t.Helper()
	Need(t, c.Firmware)
	m := &Machine{Config: c, lab: l, dir: t.TempDir()}
	out, err := exec.CommandContext(t.Context(), "qemu-img", "create", "-q", "-f", "qcow2", "-b", c.Image, "-F", "qcow2", m.disk(), diskSize).CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-img: %v\n%s", err, out)
	}
	if files, ok := ovmf[c.Firmware]; ok {
		data, err := os.ReadFile(files[1])
		if err == nil {
			m.vars = filepath.Join(m.dir, "vars.fd")
			err = os.WriteFile(m.vars, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		m.Kill()
		if t.Failed() {
			t.Logf("console of %s:\n%s", m.Name, m.Console(80))
		}
	})
	return m
}

func (m *Machine) disk() string { return filepath.Join(m.dir, "disk.qcow2") }

// args returns QEMU's arguments; see qemu(1). The descriptors of the cards begin at 3.
func (m *Machine) args() []string {
	const processors, memory = "2", "1024"
	args := []string{"-nodefaults", "-display", "none", "-vga", "std", "-name", m.Name, "-accel", "tcg,thread=multi",
		"-cpu", "max", "-smp", processors, "-m", memory, "-device", "virtio-rng-pci", "-serial", "file:" + m.consoleFile(),
		"-drive", "if=virtio,format=qcow2,cache=unsafe,discard=unmap,file=" + m.disk(),
		"-drive", "if=ide,media=cdrom,readonly=on,format=raw,file=" + m.Seed}
	q35 := "q35"
	if files, ok := ovmf[m.Firmware]; ok {
		args = append(args, "-drive", "if=pflash,unit=0,format=raw,readonly=on,file="+files[0], "-drive", "if=pflash,unit=1,format=raw,file="+m.vars)
	}
	if m.Firmware == Secure {
		q35 += ",smm=on"
		args = append(args, "-global", "driver=cfi.pflash01,property=secure,value=on")
	}
	args = append(args, "-machine", q35)
	for i, card := range m.Cards {
		kind := "tap"
		if card.Trunk != nil {
			kind = "socket"
		}
		args = append(args, "-netdev", fmt.Sprintf("%s,id=net%d,fd=%d", kind, i, 3+i),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=net%d,mac=%s,romfile=", i, card.MAC))
	}
	return args
}

// Start powers the machine on.
func (m *Machine) Start(t testing.TB) {
	t.Helper()
	if err := m.start(); err != nil {
		t.Fatalf("cannot start %s: %v", m.Name, err)
	}
}

func (m *Machine) start() (err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run != nil {
		return errors.New("it runs")
	}
	m.boots++
	// QEMU outlives the test's context; Kill ends it.
	r := &run{cmd: m.lab.Command(context.Background(), "qemu-system-x86_64", m.args()...), ended: make(chan struct{})}
	defer func() {
		for _, f := range r.cmd.ExtraFiles {
			f.Close() // QEMU has its own descriptor
		}
	}()
	for _, card := range m.Cards {
		var f *os.File
		if card.Trunk != nil {
			f, err = card.Trunk.plug()
		} else if tap, tapErr := m.lab.NewTap(card.Network, true); tapErr == nil {
			f = tap.File
		} else {
			err = tapErr
		}
		if err != nil {
			return err
		}
		r.cmd.ExtraFiles = append(r.cmd.ExtraFiles, f)
	}
	console, err := os.Create(m.consoleFile() + ".qemu")
	if err != nil {
		return err
	}
	defer console.Close()
	r.cmd.Stdout, r.cmd.Stderr = console, console
	if err := r.cmd.Start(); err != nil {
		return err
	}
	m.run = r
	go func() {
		r.err = r.cmd.Wait()
		close(r.ended)
	}()
	return nil
}

// Kill cuts the machine's power.
func (m *Machine) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil {
		return
	}
	_ = m.run.cmd.Cancel()
	<-m.run.ended
	m.run = nil
}

// Ended returns an error if the machine is off.
func (m *Machine) Ended() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil {
		return errors.New("the machine is off")
	}
	select {
	case <-m.run.ended:
		said, _ := os.ReadFile(m.consoleFile() + ".qemu")
		return fmt.Errorf("QEMU exited: %v: %s", m.run.err, said)
	default:
		return nil
	}
}

func (m *Machine) consoleFile() string {
	return filepath.Join(m.dir, fmt.Sprintf("console-%d", m.boots))
}

// Console returns the last lines of the machine's output on its serial port since it was powered on.
func (m *Machine) Console(lines int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return tail(m.consoleFile(), lines)
}

// pollEvery is the interval of queries to a machine. Each query costs the machine as much as a login.
const pollEvery = 2 * time.Second
