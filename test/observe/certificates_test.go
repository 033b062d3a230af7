package observe

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/selfsigned"
)

// certificates gives a node an expired certificate and a placeholder. promtool's clock begins in 1970.
func (p *pair) certificates() situation {
	p.t.Helper()
	_, other := p.settle()
	p.must(other, fmt.Sprintf(`cp -p /etc/ha-agent/agent.yaml /run/agent.yaml
cat >/etc/haproxy/expired.pem <<'EOF'
%sEOF
cat >/etc/haproxy/placeholder.pem <<'EOF'
%sEOF
sed -i 's|^haproxy:$|haproxy:\n  certificates: [/etc/haproxy/expired.pem, /etc/haproxy/placeholder.pem]|' /etc/ha-agent/agent.yaml`,
		expired(p.t, "www.example.org"), expired(p.t, "placeholder.invalid")))
	pages := p.scraped("the certificates are reported", func(pages []string) bool {
		return has(p.page(pages, other), `hapair_certificate_expiry_timestamp_seconds\{path="/etc/haproxy/expired.pem"\} 86400`) &&
			has(p.page(pages, other), `hapair_certificate_placeholder\{path="/etc/haproxy/placeholder.pem"\} 1`) && has(p.page(pages, other), `hapair_config_drift\{target="haproxy"\} 0`)
	})
	if text := p.text(other); !strings.Contains(text, "NOT VALID") || !strings.Contains(text, "PLACEHOLDER") {
		p.t.Error(text)
	}
	p.must(other, "mv /run/agent.yaml /etc/ha-agent/agent.yaml; rm /etc/haproxy/expired.pem /etc/haproxy/placeholder.pem")
	return situation{name: "certificates", pages: pages, alerts: []string{"HapairCertificateExpires", "HapairCertificateMissing"}, at: "80m"}
}

// expired returns a certificate that was valid for the first day of 1970, and its key, in PEM format.
func expired(t *testing.T, name string) string {
	t.Helper()
	c, err := selfsigned.New(&x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(86400, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return string(c.PEM())
}
