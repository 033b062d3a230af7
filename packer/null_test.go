package packer

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/labtest"
	"github.com/hapair/hapair/packer/template"
)

// null uses the provisioner over ssh to make a golden image from a host with a real systemd. Its login becomes root with
// sudo.
func (w *world) null(t *testing.T) {
	root := labtest.Root(t, "trixie", lab.StockPackages()...)
	private, public, err := template.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, private, 0o600); err != nil {
		t.Fatal(err)
	}
	host, port := sshHost(t, root, strings.TrimSpace(string(public)))
	build := w.write(t, cluster(t), "null", "--release", "trixie")
	start := time.Now()
	out := w.must(t, build, "build", "-var", "ssh_host=127.0.0.1", "-var", "ssh_port="+port,
		"-var", "ssh_username=builder", "-var", "ssh_private_key_file="+key, ".")
	t.Logf("packer build with null over ssh took %v", time.Since(start).Round(100*time.Millisecond))
	if !strings.Contains(out, "check the seal") {
		t.Errorf("the output does not contain the seal:\n%s", out)
	}
	checkManifest(t, filepath.Join(build, "controllers-trixie.json"), "trixie")
	agent, err := host.ReadFile("/usr/bin/ha-agent")
	if err != nil {
		t.Fatal(err)
	}
	if want := []byte(read(t, w.agent)); !bytes.Equal(agent, want) {
		t.Errorf("the agent has %d bytes, want %d", len(agent), len(want))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for script, want := range map[string]string{
		"stat -c '%U:%G %a' /usr/bin/ha-agent /etc/haproxy/haproxy.cfg": "root:root 755\nroot:haproxy 640\n",
		"wc -c </etc/machine-id":                                     "0\n",
		"ls -d /tmp/packer-hapair.* /etc/ssh/ssh_host_* 2>/dev/null": "",
		// The build's login must not exist on every node.
		"ls -d /home/*/.ssh/authorized_keys* /root/.ssh/authorized_keys* /etc/.resolv.conf.* 2>/dev/null": "",
		"cat /etc/hostname; find /var/log/journal -mindepth 1 2>/dev/null":                                "localhost\n",
		"systemctl is-enabled haproxy keepalived ha-agent":                                                "enabled\nenabled\nenabled\n",
		"systemctl is-active haproxy keepalived ha-agent":                                                 "inactive\ninactive\ninactive\n",
	} {
		got, _, err := host.Run(ctx, "sh", "-c", script)
		if err != nil || got != want {
			t.Errorf("%s: got %q (%v), want %q", script, got, err, want)
		}
	}
}

// sshHost boots a lab host on which the owner of the key can log in as builder. It returns a port of 127.0.0.1 that is
// forwarded to the host's ssh server.
func sshHost(t *testing.T, root, key string) (*lab.Host, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	l := labtest.Lab(t)
	base, err := l.Directory(root)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := l.AddProxy("build", netip.MustParsePrefix("10.9.0.1/24"), root)
	if err != nil {
		t.Fatal(err)
	}
	client, err := l.AddClient(ctx, "packer", "build", netip.MustParsePrefix("10.9.0.3/24"))
	if err != nil {
		t.Fatal(err)
	}
	host, err := l.AddHost(lab.HostConfig{Name: "golden", Base: base, Seed: seed(t, key), Interfaces: []lab.Interface{{Name: "eth0", Network: "build"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := host.WriteFile("/etc/apt/apt.conf.d/90-lab", 0o644, proxy.AptConf()); err != nil {
		t.Fatal(err)
	}
	if err := host.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := host.WaitRunning(ctx); err != nil {
		t.Fatalf("%v\n%s", err, host.Logs(ctx, 50))
	}
	return host, forward(t, func(ctx context.Context) (net.Conn, error) { return client.Dial(ctx, "tcp", "10.9.0.2:22") })
}

// seed returns the seed that prepares the host for Packer.
func seed(t *testing.T, key string) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "meta-data"), "instance-id: build\nlocal-hostname: golden\n")
	writeFile(t, filepath.Join(dir, "network-config"), "version: 2\nethernets:\n  eth0: {addresses: [10.9.0.2/24]}\n")
	writeFile(t, filepath.Join(dir, "user-data"), `#cloud-config
locale: C.UTF-8
users:
  - name: builder
    shell: /bin/bash
    sudo: ALL=(ALL) NOPASSWD:ALL
    ssh_authorized_keys: ["`+key+`"]
`)
	return dir
}

// forward listens on a port of 127.0.0.1, and forwards each connection with dial. It ends with the test.
func forward(t *testing.T, dial func(context.Context) (net.Conn, error)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		conns.Wait()
	})
	conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { carry(t.Context(), conn, dial) })
		}
	})
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// carry copies in both directions until one side or ctx ends.
func carry(ctx context.Context, here net.Conn, dial func(context.Context) (net.Conn, error)) {
	defer here.Close()
	there, err := dial(ctx)
	if err != nil {
		return
	}
	defer there.Close()
	stop := context.AfterFunc(ctx, func() { here.Close() })
	defer stop()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{here, there}, {there, here}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
}
