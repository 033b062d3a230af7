// Package certificates reads the certificates that haproxy serves, for people and for monitoring: names, serial number, expiry,
// and whether a placeholder takes the place of the real one.
package certificates

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/regular"
)

// placeholderName is the common name of certificates that units/placeholder-certificates.sh makes.
const placeholderName = "placeholder.invalid"

// maxFile is the largest file, in bytes, that is read. A bundle of all public authorities has 220 KiB.
const maxFile = 4 << 20

// Read reads the certificates at paths, which are files, or directories that end with "/". A file of several certificates is
// described by its first one, which is the one that haproxy presents. A file without a private key has CA
// certificates, and is returned only if it is a placeholder. A placeholder in a directory is returned only if it is the only
// file there: otherwise haproxy serves it at most to clients that send no server name.
func Read(paths []string) []control.Certificate {
	var all []control.Certificate
	seen := map[string]bool{}
	for _, path := range paths {
		if seen[path] {
			continue
		}
		seen[path] = true
		if !strings.HasSuffix(path, "/") {
			if c, ok := readCertificate(path); ok {
				all = append(all, c)
			}
			continue
		}
		all = append(all, directory(path)...)
	}
	return all
}

func directory(path string) []control.Certificate {
	entries, err := os.ReadDir(path)
	if err != nil {
		return []control.Certificate{{Path: path, Why: reason(err)}}
	}
	var all []control.Certificate
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || e.IsDir() {
			continue
		}
		if c, ok := readCertificate(filepath.Join(path, e.Name())); ok {
			all = append(all, c)
		}
	}
	if len(all) > 1 {
		all = slices.DeleteFunc(all, func(c control.Certificate) bool { return c.Placeholder })
	}
	return all
}

// readCertificate describes the certificate in a file, or why it cannot be read. It returns false for a file that no service would
// use as a certificate.
func readCertificate(path string) (control.Certificate, bool) {
	c := control.Certificate{Path: path}
	data, err := regular.ReadFile(path, maxFile)
	if err != nil {
		c.Why = reason(err)
		return c, true
	}
	cert, err := firstCertificate(data)
	if err != nil {
		// Keys, lists of certificates and answers of OCSP may lie beside certificates.
		if bytes.Contains(data, []byte("-----BEGIN CERTIFICATE-----")) {
			c.Why = err.Error()
			return c, true
		}
		return c, false
	}
	c.Placeholder = cert.Subject.CommonName == placeholderName
	if !bytes.Contains(data, []byte("PRIVATE KEY-----")) && !hasKeyBeside(path) && !c.Placeholder {
		return c, false
	}
	c.Names = cert.DNSNames
	for _, ip := range cert.IPAddresses {
		c.Names = append(c.Names, ip.String())
	}
	if len(c.Names) == 0 && cert.Subject.CommonName != "" {
		c.Names = []string{cert.Subject.CommonName}
	}
	c.Issuer, c.Serial = cert.Issuer.String(), fmt.Sprintf("%X", cert.SerialNumber)
	c.NotBefore, c.NotAfter = cert.NotBefore.UTC(), cert.NotAfter.UTC()
	return c, true
}

// hasKeyBeside reports whether the key is in a file beside the certificate, as haproxy looks for it: a.pem.key, or a.key for
// a.crt.
func hasKeyBeside(path string) bool {
	for _, key := range []string{path + ".key", strings.TrimSuffix(path, filepath.Ext(path)) + ".key"} {
		if _, err := os.Stat(key); err == nil {
			return true
		}
	}
	return false
}

// firstCertificate returns the first certificate of a PEM file.
func firstCertificate(data []byte) (*x509.Certificate, error) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, errors.New("it has no certificate in PEM format")
		}
		if block.Type == "CERTIFICATE" {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("cannot parse the certificate: %w", err)
			}
			return cert, nil
		}
	}
}

// reason returns an error without the path, which is shown beside it.
func reason(err error) string {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
