package adopt

import (
	"context"
	"crypto/x509"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/keepalived/keepalivedconf"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/selfsigned"
	"github.com/hapair/hapair/internal/testing/labtest"
)

// TestHAProxySeesTheSame runs the haproxy of noble on the old file of each pair of testdata, and on the file that the spec
// makes, and compares what haproxy itself says of its proxies and servers.
func TestHAProxySeesTheSame(t *testing.T) {
	labtest.Need(t)
	sb := labtest.Sandbox(t, "noble")
	for _, name := range pairs(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, r, s := imported(t, name)
			for _, f := range a.Files {
				if strings.HasPrefix(f.Name, "etc/haproxy/") {
					if err := sb.WriteFile(t.Context(), "/"+f.Name, 0o644, "root:root", f.Data); err != nil {
						t.Fatal(err)
					}
				}
			}
			old := proxiesOf(t, sb, r.Modern())
			now := proxiesOf(t, sb, render(t, s))
			compareLive(t, r, old, now)
		})
	}
}

// TestKeepalivedTakesTheSpec runs the test of noble's keepalived on the keepalived.conf that the spec of each pair of testdata
// makes. Scripts that the pair names exist.
func TestKeepalivedTakesTheSpec(t *testing.T) {
	labtest.Need(t)
	sb := labtest.Sandbox(t, "noble", lab.Interfaces("eth0", "eth1", "ens3", "ens4", "ens5"))
	for _, name := range pairs(t) {
		_, _, s := imported(t, name)
		rel, err := release.Get(s.Image.Release)
		if err != nil {
			t.Fatal(err)
		}
		conf, err := keepalivedconf.Render(s, &s.Nodes[0], rel.Keepalived)
		if err != nil {
			t.Fatal(err)
		}
		text := string(conf)
		for _, p := range append(regexp.MustCompile(`/[a-z/.-]+\.(?:sh|py)`).FindAllString(text, -1), "/usr/bin/ha-agent", "/usr/local/bin/uplink") {
			if err := sb.WriteFile(t.Context(), p, 0o755, "root:root", []byte("#!/bin/sh\n")); err != nil {
				t.Fatal(err)
			}
		}
		if err := sb.WriteFile(t.Context(), "/tmp/keepalived.conf", 0o644, "root:root", conf); err != nil {
			t.Fatal(err)
		}
		const test = `getent passwd hapair-check || useradd --system hapair-check
mkdir -p /run/ha-agent
for track in haproxy $(sed -n 's/.*holder-\(.*\)\.track/holder-\1/p' "$1"); do echo 0 >/run/ha-agent/$track.track; done
echo 0 >/run/manual
keepalived -t -f "$1"`
		out, _, err := sb.Run(t.Context(), "sh", "-euc", test, "sh", "/tmp/keepalived.conf")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out) {
			if missing := strings.Contains(line, "doesn't exist") || strings.Contains(line, "Non-existent interface"); strings.HasPrefix(line, "(") && !missing {
				t.Errorf("%s: keepalived -t: %s", name, line)
			}
		}
		if t.Failed() {
			t.Fatalf("%s\n%s", out, text)
		}
	}
}

// fields of haproxy's statistics that say what a proxy or a server is (management.txt, 9.1).
var liveFields = []string{"mode", "algo", "cookie", "weight", "act", "bck", "check_rise", "check_fall", "slim", "qlimit", "addr", "throttle"}

// proxiesOf runs haproxy on a file, and returns the rows of "show stat" by proxy and server.
func proxiesOf(t *testing.T, sb *lab.Sandbox, conf string) map[string]map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	base := ""
	if m := regexp.MustCompile(`crt-base (\S+)`).FindStringSubmatch(conf); m != nil {
		base = m[1] + "/"
	}
	for _, m := range regexp.MustCompile(`(?:crt|ca-file) (\S+)`).FindAllStringSubmatch(conf, -1) {
		path := m[1]
		if strings.HasSuffix(path, "/") {
			path += "any.pem"
		}
		if !strings.HasPrefix(path, "/") {
			path = base + path
		}
		if err := sb.WriteFile(ctx, path, 0o644, "root:root", certificate(t)); err != nil {
			t.Fatal(err)
		}
	}
	const file, socket = "/tmp/live.cfg", "/tmp/live.sock"
	conf += "\nglobal\n    stats socket " + socket + " level admin\n"
	if err := sb.WriteFile(ctx, file, 0o644, "root:root", []byte(conf)); err != nil {
		t.Fatal(err)
	}
	if out, code, err := sb.Run(ctx, "sh", "-euc", "mkdir -p /run/haproxy; ip link set lo up; echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind; echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind; getent group hapair-check >/dev/null || groupadd hapair-check"); err != nil || code != 0 {
		t.Fatalf("cannot prepare the sandbox: %v, status %d: %s", err, code, out)
	}
	var log strings.Builder
	cmd := sb.Command(ctx, "haproxy", "-db", "-L", "lb1", "-f", file)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		cancel()
		<-ended
	}()
	var text string
	polling, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	err := poll.Nil(polling, 50*time.Millisecond, func() (err error) {
		select {
		case err := <-ended:
			ended <- err
			return errors.Join(context.Canceled, err)
		default:
		}
		text, err = ask(fmt.Sprintf("/proc/%d/root%s", sb.PID(), socket), "show stat")
		return err
	})
	if err != nil {
		t.Fatalf("haproxy does not answer: %v\n%s\n%s", err, log.String(), conf)
	}
	return rows(t, text)
}

// certificate returns a certificate with its key.
func certificate(t *testing.T) []byte {
	t.Helper()
	c, err := selfsigned.New(&x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true})
	if err != nil {
		t.Fatal(err)
	}
	return c.PEM()
}

func ask(socket, command string) (string, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", err
	}
	data, err := io.ReadAll(conn)
	return string(data), err
}

func rows(t *testing.T, text string) map[string]map[string]string {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(strings.TrimSpace(text), "# "))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	for _, row := range all[1:] {
		fields := map[string]string{}
		for i, name := range all[0] {
			fields[name] = row[i]
		}
		out[fields["pxname"]+" "+fields["svname"]] = fields
	}
	return out
}

// compareLive compares the rows of both files. A server's weight and the like are those of the file: no check has run.
func compareLive(t *testing.T, r *Result, old, now map[string]map[string]string) {
	t.Helper()
	compared := 0
	for _, name := range slices.Sorted(maps.Keys(old)) {
		proxy, server, _ := strings.Cut(name, " ")
		to := proxy
		if renamed, ok := r.rename["frontend "+proxy]; ok && server == "FRONTEND" {
			to = renamed
		}
		page, isPage := r.rename["listen "+proxy]
		if page2, ok := r.rename["frontend "+proxy]; isPage && page == "" || ok && page2 == "" {
			continue // the stats page
		}
		row := now[to+" "+server]
		if row == nil {
			t.Errorf("haproxy no longer has %s", name)
			continue
		}
		for _, f := range liveFields {
			if f == "slim" && !strings.Contains(r.Modern(), "maxconn "+old[name][f]+"\n") && !strings.Contains(r.Modern(), "maxconn "+old[name][f]+" ") {
				continue // haproxy computed it from the limit of open files
			}
			if server == "BACKEND" && (f == "act" || f == "bck" || f == "weight") {
				continue // of the servers that are up at this moment
			}
			if old[name][f] != row[f] {
				t.Errorf("%s of %s was %q, and is %q now", f, name, old[name][f], row[f])
			}
		}
		compared++
	}
	if compared == 0 {
		t.Error("haproxy has no proxy that could be compared")
	}
}
