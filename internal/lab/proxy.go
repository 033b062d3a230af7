package lab

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Proxy is an HTTP proxy for apt that only forwards requests to package archives.
type Proxy struct {
	address netip.AddrPort
	server  *http.Server
}

// AddProxy starts an HTTP proxy at an address of the lab on a network. It answers GET and HEAD for the archives that apt's
// sources in a root name, and refuses other requests.
func (l *Lab) AddProxy(networkName string, prefix netip.Prefix, root string) (*Proxy, error) {
	sources, err := os.ReadFile(filepath.Join(root, "etc/apt/sources.list"))
	if err != nil {
		return nil, fmt.Errorf("cannot read which archives may be reached: %w", err)
	}
	if err := l.AddAddress(networkName, prefix); err != nil {
		return nil, err
	}
	p := &Proxy{address: netip.AddrPortFrom(prefix.Addr(), 3142)}
	var listener net.Listener
	err = withinNet(l.space.netns(), func() (err error) {
		listener, err = listen(p.address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot start the proxy: %w", err)
	}
	p.server = newServer(forward(archives(string(sources)), http.DefaultTransport))
	go func() { _ = p.server.Serve(listener) }()
	l.mu.Lock()
	l.proxy = p
	l.mu.Unlock()
	return p, nil
}

// archives returns the hosts that apt's sources name.
func archives(sources string) []string {
	var hosts []string
	for _, word := range strings.Fields(sources) {
		if u, err := url.Parse(word); err == nil && u.Scheme == "http" {
			hosts = append(hosts, u.Host)
		}
	}
	return hosts
}

// AptConf returns a file for /etc/apt/apt.conf.d that makes apt use the proxy.
func (p *Proxy) AptConf() []byte {
	return fmt.Appendf(nil, "Acquire::http::Proxy \"http://%s\";\nAcquire::Check-Valid-Until \"false\";\n", p.address)
}

func (p *Proxy) close() { _ = p.server.Close() }

// sameArchive maps a host to another with the same suites. cloud-init writes the first into the sources of Ubuntu, while a root
// and a golden image have security updates from the second. Without them a stock node would have older packages.
var sameArchive = map[string]string{"security.ubuntu.com": "archive.ubuntu.com"}

func forward(archives []string, out http.RoundTripper) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, ok := sameArchive[r.URL.Host]; ok {
			r.URL.Host = host
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead || r.URL.Scheme != "http" || !slices.Contains(archives, r.URL.Host) {
			http.Error(w, "only package archives can be reached from here", http.StatusForbidden)
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, name := range []string{"Range", "If-Range", "If-Modified-Since", "Cache-Control"} {
			if v := r.Header.Get(name); v != "" {
				req.Header.Set(name, v)
			}
		}
		res, err := out.RoundTrip(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		maps.Copy(w.Header(), res.Header)
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	})
}
