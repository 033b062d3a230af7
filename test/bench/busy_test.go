package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/testing/gotool"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/internal/testing/needs"
)

const aboutBusy = `Settings that people make for a busy balancer, each alone beside the distribution's defaults: noble's haproxy in TCP mode, with
one server, and clients with many addresses, each with its own ports. A connection counts if a byte has come back from the server
within 10 s. *at once*: all connections are opened at the same time and kept; the time is that of the last one. *a second*: new
connections for 70 s, each closed by the client after its answer. The memory is haproxy's resident memory. The firewall of
hapair tracks no connections, so there is no setting for conntrack; and haproxy's own maxconn is what the limit of open files
allows, for which it reserves no memory.`

// busyConfig is a haproxy.cfg in TCP mode.
const busyConfig = `defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
frontend in
    bind 10.0.0.1:5000
    default_backend out
backend out
    server one 10.0.0.2:6000
`

// busySettings are sysctls.
var busySettings = []string{"defaults", "net.core.somaxconn=65535", "net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_tw_reuse=1"}

// BenchmarkBusy measures settings for many connections.
func BenchmarkBusy(b *testing.B) {
	needs.Cluster(b)
	program := filepath.Join(b.TempDir(), "busy")
	gotool.Build(b, program, "./busy")
	binary, err := os.ReadFile(program)
	if err != nil {
		b.Fatal(err)
	}
	table := found.table(Table{Name: "busy", Title: "Settings for many connections", Unit: "ms", What: "connections", About: aboutBusy})
	for _, s := range busySettings {
		b.Run(s, func(b *testing.B) {
			for _, load := range []struct {
				name        string
				count, rate int
			}{
				// More than the 4096 that may wait to be accepted. haproxy has three files for each, and 20,000 is the hard limit of
				// files in some containers.
				{"6,000 at once", 6_000, 0},
				{"1,000 a second", 70_000, 1000},
			} {
				r, memory := balancer(b, binary, s).open(load.count, load.rate)
				cell := Sample{Note: fmt.Sprintf("%d failed, %d MB", r.Failed, memory>>10)}
				if load.rate == 0 {
					cell.Values = []float64{r.LastMS}
				}
				table.add(load.name, s, cell)
				tell("busy, %s, %s: %+v, %d KB", s, load.name, r, memory)
			}
		})
	}
}

// busyHost is a sandbox with haproxy, the server and the clients.
type busyHost struct {
	*lab.Sandbox
	b *testing.B
}

func balancer(b *testing.B, program []byte, setting string) busyHost {
	b.Helper()
	options := []lab.SandboxOption{lab.Interfaces("eth0")}
	for i := 1; i < 10; i++ {
		options = append(options, lab.Address("eth0", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 24)))
	}
	h := busyHost{labtest.Sandbox(b, "noble", options...), b}
	ctx := b.Context()
	for path, content := range map[string]string{"/busy": string(program), "/busy.cfg": busyConfig} {
		if err := h.WriteFile(ctx, path, 0o755, "", []byte(content)); err != nil {
			b.Fatal(err)
		}
	}
	if name, value, ok := strings.Cut(setting, "="); ok {
		h.must("sh", "-euc", `echo "$2" >"/proc/sys/$1"`, "sh", strings.ReplaceAll(name, ".", "/"), value)
	}
	h.start("/busy", "serve", "10.0.0.2:6000")
	h.start("haproxy", "-W", "-f", "/busy.cfg")
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := poll.Nil(limited, 100*time.Millisecond, func() error {
		if r, _ := h.open(1, 1); r.Failed > 0 {
			return fmt.Errorf("haproxy does not serve: %s", r.Why)
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return h
}

// busyReport is the output of the program busy.
type busyReport struct {
	Good, Failed int
	LastMS       float64 `json:"last_ms"`
	Why          string
}

// open opens connections. It returns what became of them, and haproxy's memory in KiB before they are closed.
func (h busyHost) open(count, rate int) (r busyReport, memory int) {
	h.b.Helper()
	args := []string{"open", fmt.Sprint(count), fmt.Sprint(rate), "10.0.0.1:5000"}
	for i := 3; i < 10; i++ {
		args = append(args, fmt.Sprintf("10.0.0.%d", i))
	}
	cmd := h.Command(h.b.Context(), "/busy", args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		h.b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.b.Fatal(err)
	}
	err = json.NewDecoder(out).Decode(&r)
	for _, rss := range strings.Fields(h.must("sh", "-c", "ps -C haproxy -o rss= || :")) {
		var kib int
		_, scanned := fmt.Sscan(rss, &kib)
		err = errors.Join(err, scanned)
		memory += kib
	}
	if err := errors.Join(err, in.Close(), cmd.Wait()); err != nil {
		h.b.Fatal(err)
	}
	return r, memory
}

// start starts a program that ends with the sandbox.
func (h busyHost) start(name string, args ...string) {
	h.b.Helper()
	cmd := h.Command(h.b.Context(), name, args...)
	if err := cmd.Start(); err != nil {
		h.b.Fatal(err)
	}
	h.b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func (h busyHost) must(name string, args ...string) string {
	h.b.Helper()
	out, status, err := h.Run(h.b.Context(), name, args...)
	if err != nil || status != 0 {
		h.b.Fatalf("%s: status %d, %v\n%s", name, status, err, out)
	}
	return out
}
