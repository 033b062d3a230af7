package judge

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/selfsigned"
)

// kind is the content of a file that a configuration names.
type kind string

const (
	pemFile     kind = "pem" // a certificate with its key
	caFile      kind = "ca"
	crlFile     kind = "crl"
	crtList     kind = "crt-list"
	ticketKeys  kind = "tickets"
	patternFile kind = "pattern" // a map or a list of patterns
	errorFile   kind = "http"
	textFile    kind = "text"
	luaFile     kind = "lua"
	anyFile     kind = "file" // a file, FIFO or socket that the daemon creates itself
)

// stubs are replacements for what a configuration names and what exists only on a node. The same name always has the same stub.
// They are in dir. A name that exists on the machine has no stub.
type stubs struct {
	dir string
	// exists has the paths, "user NAME" and "group NAME" that exist on the machine; nil: the machine says nothing about a node.
	exists map[string]bool
	// declared reports whether a user or group is created at a node's first boot.
	declared func(name string) bool

	// delivered returns the content of the file with a path in the spec's key files; nil if there is none.
	delivered func(path string) []byte

	asked map[string]bool   // paths, users and groups that were looked for
	files map[string]string // path → name of the stub in dir
	kinds map[string]kind   // name of the stub → kind of its content
	own   map[string][]byte // name of the stub → content from the spec
	lua   string            // content of the first Lua file
}

func (j *session) newStubs() *stubs {
	return &stubs{dir: j.dir, exists: j.exists, declared: j.declares, delivered: j.spec.Delivers, asked: map[string]bool{}, files: map[string]string{}, kinds: map[string]kind{}, own: map[string][]byte{}}
}

// has reports whether something exists on the machine, and records the question.
func (st *stubs) has(what string) bool {
	st.asked[what] = true
	return st.exists[what]
}

// absent reports whether a user or a group, such as "user NAME", will be missing on a node.
func (st *stubs) absent(what string) bool {
	_, name, _ := strings.Cut(what, " ")
	return st.exists != nil && !st.has(what) && !st.declared(name)
}

// file returns the path of a file's stub, or the file's own path if it exists.
func (st *stubs) file(path string, k kind) string {
	var own []byte
	if st.delivered != nil {
		own = st.delivered(path)
	}
	if own == nil && strings.HasPrefix(path, "/") && k != anyFile && st.has(path) {
		return path
	}
	key := string(k) + " " + path
	name, ok := st.files[key]
	if !ok {
		name = fmt.Sprintf("stub%d.%s", len(st.files), k)
		st.files[key] = name
		st.kinds[name] = k
		if own != nil {
			st.own[name] = own
		}
	}
	return st.dir + "/" + name
}

// original replaces the names of stubs in a message by the original names.
func (st *stubs) original(message string) string {
	names := slices.SortedFunc(maps.Keys(st.files), func(a, b string) int { return len(st.files[b]) - len(st.files[a]) })
	for _, key := range names {
		_, path, _ := strings.Cut(key, " ")
		message = strings.ReplaceAll(message, st.dir+"/"+st.files[key], path)
	}
	return message
}

// contents returns the files for dir.
func (st *stubs) contents() (map[string]string, error) {
	out := map[string]string{}
	firstLua := true
	for _, name := range slices.Sorted(maps.Keys(st.kinds)) {
		if own, ok := st.own[name]; ok {
			out[name] = string(own)
			continue
		}
		switch st.kinds[name] {
		case pemFile, caFile, crlFile, crtList:
			if err := addCertificates(out); err != nil {
				return nil, err
			}
		}
		switch st.kinds[name] {
		case pemFile:
			out[name] = out["any.pem"]
		case caFile:
			out[name] = out["any.ca"]
		case crlFile:
			out[name] = out["any.crl"]
		case crtList:
			out[name] = st.dir + "/any.pem\n"
		case ticketKeys:
			out[name] = strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 48))+"\n", 3)
		case errorFile:
			out[name] = "HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
		case textFile:
			out[name] = "text\n"
		case patternFile:
			out[name] = ""
		case luaFile:
			out[name] = ""
			if firstLua {
				out[name] = st.lua
			}
			firstLua = false
		}
	}
	return out, nil
}

// addCertificates creates a self-signed certificate with its key, and a revocation list, once.
func addCertificates(out map[string]string) error {
	if out["any.pem"] != "" {
		return nil
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stand-in"}, SubjectKeyId: []byte{1},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	c, err := selfsigned.New(template)
	if err != nil {
		return err
	}
	crl, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(24 * time.Hour)}, template, c.Key)
	if err != nil {
		return err
	}
	out["any.ca"], out["any.pem"] = string(c.CertPEM), string(c.PEM())
	out["any.crl"] = string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl}))
	return nil
}
