package verify

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/selfsigned"
)

// pair returns a certificate and its key in PEM format.
func pair(t *testing.T, name string, serial int64, validFor time.Duration) (cert, key []byte) {
	t.Helper()
	c, err := selfsigned.New(&x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(validFor)})
	if err != nil {
		t.Fatal(err)
	}
	return c.CertPEM, c.KeyPEM
}

// TestCertificates uses a TLS listener in place of haproxy, which presents one certificate while the files have others.
func TestCertificates(t *testing.T) {
	const year = 365 * 24 * time.Hour
	served, servedKey := pair(t, "a.example.org", 0xA1, year)
	identity, err := tls.X509KeyPair(served, servedKey)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{identity}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func(c net.Conn) { _ = c.(*tls.Conn).Handshake(); c.Close() }(c)
		}
	}()
	for name, c := range map[string]struct {
		commonName string
		validFor   time.Duration
		other      bool   // the file has another certificate than the listener
		bind       string // instead of the listener's address
		want       string // parts of the results
	}{
		"served":            {"a.example.org", year, false, "", "ok  certificate /etc/haproxy/a.pem is valid: a.example.org, until; ok  haproxy serves the certificates on the disk: 1 asked"},
		"renewed":           {"a.example.org", year, true, "", "NOT haproxy serves the certificates on the disk: 127.0.0.1;presents a certificate with the serial A1, which is in no file — systemctl reload haproxy.service"},
		"expires soon":      {"a.example.org", 100 * time.Hour, true, "", "WARN certificate /etc/haproxy/a.pem is valid: it expires in 4 days"},
		"expired":           {"a.example.org", -time.Hour, true, "", "NOT certificate /etc/haproxy/a.pem is valid: it expired at"},
		"a placeholder":     {"placeholder.invalid", year, true, "", "NOT certificate /etc/haproxy/a.pem is valid: a placeholder is in service;install the certificate and its key there"},
		"on the other node": {"a.example.org", year, true, "192.0.2.10:443", "ok  haproxy serves the certificates on the disk: no TLS listener is on an address that this node has now"},
		"haproxy is dead":   {"a.example.org", year, true, "127.0.0.1:1", "NOT haproxy serves the certificates on the disk: the handshake with 127.0.0.1:1 fails"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			cert, key := served, servedKey
			if c.other {
				cert, key = pair(t, c.commonName, 0xB2, c.validFor)
			}
			if c.bind == "" {
				c.bind = l.Addr().String()
			}
			if err := os.MkdirAll(filepath.Join(root, "etc/haproxy"), 0o755); err != nil {
				t.Fatal(err)
			}
			for path, content := range map[string]string{"a.pem": string(cert) + string(key), "haproxy.cfg": fmt.Sprintf("frontend f\n bind %s ssl crt /etc/haproxy/a.pem\n", c.bind)} {
				if err := os.WriteFile(filepath.Join(root, "etc/haproxy", path), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m := &Machine{Root: root, Timeout: 10 * time.Second, Addresses: func() ([]vip.Held, error) {
				return []vip.Held{{Interface: "lo", Address: netip.MustParseAddr("127.0.0.1")}}, nil
			}}
			conf := &config.Config{HAProxy: config.HAProxy{Config: "/etc/haproxy/haproxy.cfg", Unit: "haproxy.service", Files: []string{"/etc/haproxy/a.pem", "/etc/haproxy/x.map"}}}
			var out strings.Builder
			m.carryOut(t.Context(), m.certificates(conf)).Print(&out)
			for want := range strings.SplitSeq(c.want, ";") {
				if !strings.Contains(out.String(), strings.TrimSpace(want)) {
					t.Errorf("the results lack %q:\n%s", want, out.String())
				}
			}
		})
	}
}
