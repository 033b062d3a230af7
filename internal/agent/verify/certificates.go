package verify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/certificates"
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/haproxy"
)

// handshakeTime bounds a TLS handshake with this machine's own haproxy.
const handshakeTime = 3 * time.Second

// certificates checks each certificate, and that haproxy serves those on the disk.
func (m *Machine) certificates(c *config.Config) []step {
	var paths []string
	for _, path := range c.HAProxy.CertificatePaths() {
		at := m.path(path)
		if strings.HasSuffix(path, "/") {
			at += "/"
		}
		paths = append(paths, at)
	}
	all := certificates.Read(paths)
	var steps []step
	for _, cert := range all {
		steps = append(steps, step{"certificate " + strings.TrimPrefix(cert.Path, strings.TrimSuffix(m.Root, "/")) + " is valid", func(context.Context) (string, error) {
			now := time.Now()
			if why := cert.Problem(now); why != "" {
				return "", not("install the certificate and its key there, in one file in PEM format; haproxy loads it at once", "%s", why)
			}
			if soon := cert.Warning(now); soon != "" {
				return "", warning(soon)
			}
			return cert.String(), nil
		}})
	}
	if len(all) == 0 {
		return nil
	}
	return append(steps, m.served(c, all))
}

// served makes a handshake at each TLS listener whose address this machine has, and compares serial numbers.
func (m *Machine) served(c *config.Config, all []control.Certificate) step {
	return step{"haproxy serves the certificates on the disk", func(ctx context.Context) (string, error) {
		conf, err := haproxy.Read(m.path(c.HAProxy.Config))
		if err != nil {
			return "", err
		}
		held, err := m.Addresses()
		if err != nil {
			return "", err
		}
		asked := 0
		for _, at := range haproxy.TLSBinds(conf) {
			local := at.Addr().IsUnspecified()
			for _, h := range held {
				local = local || h.Address == at.Addr()
			}
			if !local {
				continue // the holder of the VIP would answer
			}
			serial, err := presented(ctx, at)
			if err != nil {
				return "", not("systemctl status "+c.HAProxy.Unit, "the handshake with %v fails: %v", at, err)
			}
			asked++
			if !slices.ContainsFunc(all, func(cert control.Certificate) bool { return cert.Serial == serial }) {
				return "", not("systemctl reload "+c.HAProxy.Unit, "%v presents a certificate with the serial %s, which is in no file", at, serial)
			}
		}
		if asked == 0 {
			return "no TLS listener is on an address that this node has now", nil
		}
		return fmt.Sprintf("%d asked", asked), nil
	}}
}

// presented returns the serial number of the certificate that a listener presents to clients that name no host.
func presented(ctx context.Context, at netip.AddrPort) (string, error) {
	if at.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at.Port())
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	var serial string
	enough := errors.New("the certificate is known")
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	// The certificate is not verified: its serial number is compared with that of the file. The handshake ends there, so that
	// it does not matter whether haproxy demands a certificate.
	t := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, VerifyConnection: func(s tls.ConnectionState) error {
		serial = fmt.Sprintf("%X", s.PeerCertificates[0].SerialNumber)
		return enough
	}})
	err = t.HandshakeContext(ctx)
	if errors.Is(err, enough) {
		return serial, nil
	}
	return "", err
}
