package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/haproxy/haproxycfg"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/tool"
)

// runHAProxy runs the haproxy of this machine. Debian keeps it in /usr/sbin, which is in few people's PATH.
func runHAProxy(ctx context.Context, name string, args ...string) (tool.Result, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name
	}
	return tool.Run(ctx, path, args...)
}

// judgeHAProxy has haproxy, where it is there, judge a valid spec's haproxy.cfg: for the passed-through lines nobody
// else can. The file is written for that haproxy's version. What it refuses is an error where it is of the version that
// the release has, and a warning where it is of another, or where the file is the user's own and names what is on nodes.
func judgeHAProxy(ctx context.Context, run tool.Runner, s *spec.Spec) (diag.Problems, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	version, ok := haproxyVersion(ctx, run)
	if !ok {
		return nil, nil
	}
	config, err := haproxycfg.Render(s, &s.Nodes[0], version)
	var missing diag.Problems
	if errors.As(err, &missing) {
		return nil, nil // a secret that validation has warned of
	}
	if err != nil {
		return nil, exitstatus.With(exitstatus.Failure, err)
	}
	answer, err := ask(ctx, run, s, config)
	if err != nil || answer.Verdict != tool.Bad {
		return nil, err
	}
	severity := diag.Warning
	if r, err := release.Get(s.Image.Release); err == nil && r.HAProxy[0] == version[0] && r.HAProxy[1] == version[1] && s.HAProxy.Config == "" {
		severity = diag.Error
	}
	return refusals(severity, version, config, answer.Messages), nil
}

// haproxyVersion is the version of this machine's haproxy; false where there is none.
func haproxyVersion(ctx context.Context, run tool.Runner) (release.Version, bool) {
	r, err := run(ctx, "haproxy", "-v")
	if err != nil || r.Status != 0 {
		return release.Version{}, false
	}
	m := regexp.MustCompile(`version (\S+)`).FindStringSubmatch(r.Output)
	if m == nil {
		return release.Version{}, false
	}
	v, err := release.ParseVersion(m[1])
	return v, err == nil
}

// ask writes a haproxy.cfg to a folder of this user's own, with certificates in place of those that are on nodes, and
// asks haproxy about it.
func ask(ctx context.Context, run tool.Runner, s *spec.Spec, config []byte) (tool.Answer, error) {
	dir, err := os.MkdirTemp("", "bake-validate-")
	if err != nil {
		return tool.Answer{}, cannot("make a folder: %v", err)
	}
	defer os.RemoveAll(dir)
	certificate := filepath.Join(dir, "placeholder.pem")
	for _, svc := range s.Services {
		if svc.TLS != nil {
			config = bytes.ReplaceAll(config, []byte(" crt "+svc.TLS.Certificate), []byte(" crt "+certificate))
		}
	}
	placeholder, err := placeholderCertificate()
	if err != nil {
		return tool.Answer{}, cannot("make a certificate: %v", err)
	}
	path := filepath.Join(dir, "haproxy.cfg")
	if err := errors.Join(os.WriteFile(certificate, placeholder, 0o600), os.WriteFile(path, haproxycfg.WithoutGroup(config), 0o600)); err != nil {
		return tool.Answer{}, cannot("write what haproxy is to judge: %v", err)
	}
	if sockets, err := haproxycfg.Sockets(s); err != nil {
		return tool.Answer{}, err
	} else if sockets != nil {
		if err := os.WriteFile(haproxy.SocketsFile(path), haproxycfg.WithoutGroup(sockets), 0o600); err != nil {
			return tool.Answer{}, cannot("write what haproxy is to judge: %v", err)
		}
	}
	return haproxy.Check(ctx, run, haproxy.Files(path)...), nil
}

// placeholderCertificate is a self-signed certificate with its key.
func placeholderCertificate() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...), nil
}

var (
	alert  = regexp.MustCompile(`^\[ALERT\]\s*(?:\(\d+\) : )?(?:config : )?(.*)$`)
	where  = regexp.MustCompile(`(?:parsing )?\[[^\]]*/haproxy\.cfg:(\d+)\]\s*:\s*`)
	closer = regexp.MustCompile(`^(?:Error\(s\) found in configuration file|Fatal errors found in configuration)`)
)

// refusals tells what haproxy refuses, with the line of the generated file that it names.
func refusals(severity diag.Severity, version release.Version, config []byte, messages []string) diag.Problems {
	lines := strings.Split(string(config), "\n")
	var problems diag.Problems
	for _, message := range messages {
		m := alert.FindStringSubmatch(message)
		if m == nil || closer.MatchString(m[1]) {
			continue
		}
		p := diag.Problem{Severity: severity, File: "haproxy.cfg",
			Message: fmt.Sprintf("haproxy %s refuses it: %s", version, where.ReplaceAllString(m[1], ""))}
		if at := where.FindStringSubmatch(m[1]); at != nil {
			if n, err := strconv.Atoi(at[1]); err == nil && n >= 1 && n <= len(lines) {
				p.Line, p.Column = n, 1 // not the line itself: it may hold a secret
			}
		}
		problems = append(problems, p)
	}
	return problems
}
