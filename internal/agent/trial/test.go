package trial

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/selfsigned"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/wellknown"
)

// testTime bounds the test of one target.
const testTime = 30 * time.Second

// Test tests a content's files with haproxy -c, keepalived -t and the kernel's list of settings, as if they lay in their
// places already. Nobody else sees them there.
func Test(ctx context.Context, run validator.Runner, to revision.Content, conf *config.Config) (refused string, err error) {
	files := make([]store.File, 0, len(to.Files))
	belongs := targetOf(conf)
	for _, f := range to.Files {
		if belongs(f.Path) == "" && f.Path != wellknown.HAProxySockets {
			continue
		}
		uid, gid, err := owner(f)
		if err != nil {
			return err.Error(), nil
		}
		files = append(files, store.File{Path: f.Path, Digest: f.Digest, Mode: f.Mode, UID: uid, GID: gid, Data: f.Data})
	}
	more, err := placeholders(to)
	if err != nil {
		return "", err
	}
	files = append(files, more...)
	conf, remove, err := withoutSockets(to, conf)
	if err != nil {
		return "", err
	}
	defer remove()
	node := target.Node{Conf: conf, ProcSys: "/proc/sys", Store: store.At(wellknown.AgentState), Run: run}
	var reasons []string
	for _, t := range node.Targets() {
		ctx, cancel := context.WithTimeout(ctx, testTime)
		a := target.Rehearse(ctx, t, files, mountpoint, target.Judge).Answer
		cancel()
		if a.Verdict != validator.Good {
			reasons = append(reasons, fmt.Sprintf("%s: %s: %s", t.Name(), a.Verdict, target.Shorten(a.Reason())))
		}
	}
	return strings.Join(reasons, "; "), nil
}

// withoutSockets returns the configuration with which haproxy.cfg is tested by itself if the file with hapair's sockets, which
// still lies beside it, is to go.
func withoutSockets(to revision.Content, conf *config.Config) (c *config.Config, remove func(), err error) {
	cfg, has := to.File(conf.HAProxy.Config)
	_, stays := to.File(wellknown.HAProxySockets)
	if _, err := os.Lstat(wellknown.HAProxySockets); err != nil || stays || !has {
		return conf, func() {}, nil
	}
	dir, err := os.MkdirTemp(wellknown.Revisions, "test-")
	if err != nil {
		return nil, nil, fmt.Errorf("cannot test haproxy.cfg: %w", err)
	}
	alone := *conf
	alone.HAProxy.Config = filepath.Join(dir, filepath.Base(cfg.Path))
	if err := os.WriteFile(alone.HAProxy.Config, cfg.Data, 0o600); err != nil {
		os.RemoveAll(dir)
		return nil, nil, fmt.Errorf("cannot test haproxy.cfg: %w", err)
	}
	return &alone, func() { os.RemoveAll(dir) }, nil
}

// mountpoint is a directory that no test needs.
const mountpoint = "/var/lib/ha-agent/good"

// placeholders are the certificates that hapair-certificates.service will generate, because a service names them and they are
// missing.
func placeholders(to revision.Content) ([]store.File, error) {
	list, ok := to.File(wellknown.Certificates)
	if !ok {
		return nil, nil
	}
	var files []store.File
	for line := range strings.Lines(string(list.Data)) {
		path := strings.TrimPrefix(strings.TrimSpace(line), "ca ")
		if path == "" {
			continue
		}
		if dir, ok := strings.CutSuffix(path, "/"); ok {
			if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
				continue
			}
			path += "zz-placeholder.pem"
		}
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		data, err := selfSigned()
		if err != nil {
			return nil, fmt.Errorf("cannot generate a placeholder for %s: %w", path, err)
		}
		files = append(files, store.File{Path: path, Digest: store.Digest(data), Mode: 0o600, UID: 0, GID: 0, Data: data})
	}
	return files, nil
}

// selfSigned returns a certificate with its key.
func selfSigned() ([]byte, error) {
	now := time.Now()
	c, err := selfsigned.New(&x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "placeholder.invalid"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)})
	if err != nil {
		return nil, err
	}
	return c.PEM(), nil
}
