package certificates

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/selfsigned"
)

var notAfter = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// pemOf returns a self-signed certificate in PEM format, and its key.
func pemOf(t *testing.T, commonName string, names ...string) (cert, key string) {
	t.Helper()
	c, err := selfsigned.New(&x509.Certificate{SerialNumber: big.NewInt(0xABC), Subject: pkix.Name{CommonName: commonName}, DNSNames: names,
		NotBefore: notAfter.AddDate(-10, 0, 0), NotAfter: notAfter})
	if err != nil {
		t.Fatal(err)
	}
	return string(c.CertPEM), string(c.KeyPEM)
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	cert, key := pemOf(t, "x", "a.example.org", "b.example.org")
	placeholder, pkey := pemOf(t, placeholderName)
	for name, content := range map[string]string{
		"certs/a.pem": cert + key, "certs/zz-placeholder.pem": placeholder + pkey, "certs/.hidden": "x", "certs/a.pem.ocsp": "x",
		"empty/zz-placeholder.pem": placeholder + pkey, "apart/b.crt": cert, "apart/b.key": key, "ca.pem": cert, "ca-placeholder.pem": placeholder,
		"broken.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	} {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for paths, want := range map[string]string{
		"certs/":             "certs/a.pem a.example.org b.example.org ABC",
		"empty/":             "empty/zz-placeholder.pem placeholder.invalid PLACEHOLDER",
		"apart/":             "apart/b.crt a.example.org b.example.org ABC",
		"ca.pem":             "",
		"ca-placeholder.pem": "ca-placeholder.pem placeholder.invalid PLACEHOLDER",
		"broken.pem":         "broken.pem cannot parse the certificate",
		"none.pem none.pem":  "none.pem no such file or directory",
		"none/":              "none/ no such file or directory",
	} {
		var at, got []string
		for _, p := range strings.Fields(paths) {
			at = append(at, dir+"/"+p)
		}
		for _, c := range Read(at) {
			why, _, _ := strings.Cut(c.Why, ":")
			text := strings.TrimPrefix(c.Path, dir+"/") + " " + strings.Join(c.Names, " ") + why
			switch {
			case c.Placeholder:
				text += " PLACEHOLDER"
			case c.Why == "":
				text += " " + c.Serial
			}
			got = append(got, text)
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s: %q, want %q", paths, got, want)
		}
	}
}

func TestProblems(t *testing.T) {
	c := control.Certificate{NotBefore: notAfter.AddDate(0, -3, 0), NotAfter: notAfter}
	for now, want := range map[time.Time]string{
		notAfter.AddDate(0, 0, -20): "",
		notAfter.AddDate(0, 0, -13): "it expires in 13 days, at 2030-01-01T00:00:00Z",
		notAfter.Add(time.Second):   "it expired at 2030-01-01T00:00:00Z",
		notAfter.AddDate(0, -4, 0):  "it is not valid before 2029-10-01T00:00:00Z",
	} {
		if got := c.Problem(now) + c.Warning(now); got != want {
			t.Errorf("at %v: %q, want %q", now, got, want)
		}
	}
}
