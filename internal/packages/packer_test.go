package packages_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/packages"
	"github.com/hapair/hapair/internal/selfsigned"
	"github.com/hapair/hapair/internal/testing/packertest"
	"github.com/hapair/hapair/internal/version"
)

const pluginTemplate = `packer {
  required_plugins {
    hapair = {
      source  = "github.com/hapair/hapair"
      version = ">= %s"
    }
  }
}
`

// checkPackerInit installs the plugin of a release with the real `packer init`, which finds the version among the tags of a
// repository, and downloads the digests and the archive from its release. A proxy plays GitHub.
func checkPackerInit(t *testing.T, dir string) {
	hub := gitHub(t, dir)
	env := append(packertest.Env(t), "HTTPS_PROXY=http://"+hub.address, "SSL_CERT_FILE="+hub.certificate, "NO_PROXY=")
	work := t.TempDir()
	if err := os.WriteFile(filepath.Join(work, "build.pkr.hcl"), fmt.Appendf(nil, pluginTemplate, version.Version), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, args := range [][]string{{"init", "."}, {"plugins", "installed"}} {
		out, err := packertest.Run(ctx, t, env, work, args...)
		t.Logf("packer %s\n%s", strings.Join(args, " "), out)
		if err != nil {
			t.Fatal(err)
		}
		if args[0] == "plugins" && !strings.Contains(out, packages.PluginName("amd64")) {
			t.Errorf("packer plugins installed does not name %s", packages.PluginName("amd64"))
		}
	}
}

// hub is a proxy that answers for GitHub.
type hub struct{ address, certificate string }

// gitHub serves the files of a release as GitHub does, behind a proxy that ends TLS with a certificate of its own.
func gitHub(t *testing.T, dir string) hub {
	t.Helper()
	cert, err := selfsigned.New(&x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"api.github.com", "github.com"}, IsCA: true, BasicConstraintsValid: true})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert.CertPEM, cert.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, cert.CertPEM, 0o644); err != nil {
		t.Fatal(err)
	}
	tag := "v" + version.Version
	mux := http.NewServeMux()
	mux.HandleFunc("GET /repos/hapair/packer-plugin-hapair/git/matching-refs/tags", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `[{"ref": "refs/tags/%s"}]`, tag)
	})
	mux.Handle("GET /hapair/packer-plugin-hapair/releases/download/"+tag+"/", http.StripPrefix("/hapair/packer-plugin-hapair/releases/download/"+tag, http.FileServer(http.Dir(dir))))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Logf("packer asks for %s %s%s", r.Method, r.Host, r.URL)
		http.NotFound(w, r)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inner := &listener{conns: make(chan net.Conn), closed: make(chan struct{}), address: l.Addr()}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(inner) }()
	go proxy(l, inner, &tls.Config{Certificates: []tls.Certificate{pair}})
	t.Cleanup(func() {
		_ = l.Close()
		_ = server.Close()
	})
	return hub{l.Addr().String(), file}
}

// proxy accepts CONNECT, and hands the connections to a server that plays all hosts.
func proxy(l net.Listener, to *listener, config *tls.Config) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
				_ = conn.Close()
				return
			}
			fmt.Fprint(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
			select {
			case to.conns <- tls.Server(conn, config):
			case <-to.closed:
				_ = conn.Close()
			}
		}()
	}
}

// listener gives a server the connections of a channel until it is closed.
type listener struct {
	conns   chan net.Conn
	closed  chan struct{}
	address net.Addr
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	close(l.closed)
	return nil
}

func (l *listener) Addr() net.Addr { return l.address }
