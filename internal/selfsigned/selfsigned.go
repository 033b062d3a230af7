// Package selfsigned makes certificates that stand in for real ones, in tests of a configuration and in the lab.
package selfsigned

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// Certificate is a self-signed certificate with its key, which is on the curve P-256.
type Certificate struct {
	DER []byte
	Key *ecdsa.PrivateKey
	// CertPEM and KeyPEM are both in PEM format, the key in PKCS #8.
	CertPEM, KeyPEM []byte
}

// New makes a certificate from a template, which must have a serial number and a validity, with a new key.
func New(template *x509.Certificate) (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make a certificate: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("cannot make a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot make a certificate: %w", err)
	}
	return &Certificate{der, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})}, nil
}

// PEM returns the certificate followed by its key, as haproxy reads them from one file.
func (c *Certificate) PEM() []byte { return append(append([]byte(nil), c.CertPEM...), c.KeyPEM...) }
