package image

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// packageCache caches what apt downloads for the next bakes. It is an HTTP proxy on the loopback interface, which apt is
// configured to use. Programs of an image, which may be hostile, can request files of archives but cannot write to the
// cache. apt checks the signatures and digests of all files, as it does without the cache.
type packageCache struct {
	store  packageStore
	client *http.Client
	server *http.Server
	proxy  string // the proxy's URL with a password, because other users of this machine must not use it
	auth   []byte // the required value of Proxy-Authorization

	mu          sync.Mutex
	unconfirmed map[string]bool // URLs of packages that were served from the cache without a question to the archive
}

// startPackageCache starts the proxy. The caller must close it.
func startPackageCache(o *Options) (*packageCache, error) {
	store, err := openPackageStore(o)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot start the package cache: %w", err)
	}
	token := rand.Text()
	client := *o.client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // apt follows redirects itself
	c := &packageCache{
		store: store, client: &client, unconfirmed: map[string]bool{}, proxy: fmt.Sprintf("http://apt:%s@%s", token, listener.Addr()),
		auth: []byte("Basic " + base64.StdEncoding.EncodeToString([]byte("apt:"+token))),
	}
	c.server = &http.Server{Handler: c, ReadHeaderTimeout: time.Minute}
	go func() { _ = c.server.Serve(listener) }()
	return c, nil
}

// Close stops the proxy. It removes files that were not used for a long time, and packages that apt may have refused.
func (c *packageCache) Close() error {
	err := c.server.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for url := range c.unconfirmed {
		err = errors.Join(err, c.store.remove(url))
	}
	return errors.Join(err, c.store.prune(time.Now()))
}

// confirm says that apt has accepted every package.
func (c *packageCache) confirm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.unconfirmed)
}

// trust reports whether the cached file of a URL is served without a question to the archive, which takes longer than the
// transfer, and records it as unconfirmed. A package is, because the name of its file contains its version, and apt verifies the
// digest. If apt requests it a second time, it has refused it.
func (c *packageCache) trust(url string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if path.Ext(url) != ".deb" || c.unconfirmed[url] {
		return false
	}
	c.unconfirmed[url] = true
	return true
}

// aptConfFile is the path of apt.conf in an image that is open. /run is not a part of the image.
const aptConfFile = "/run/hapair-apt.conf"

// aptConf returns the configuration that makes apt use the proxy, and saves time: the lists are without translated
// descriptions, and compressed with gzip, which is faster to read than xz. See apt.conf(5) for APT_CONFIG. An image's own
// configuration takes precedence.
func (c *packageCache) aptConf() string {
	return fmt.Sprintf(`Acquire::http::Proxy %q;
Acquire::Languages "none";
Acquire::CompressionTypes::Order { "gz"; };
`, c.proxy)
}

// usePackageCache makes apt in the image use the proxy, without changing the image.
func (m *Machine) usePackageCache(c *packageCache) error {
	if c == nil {
		return nil
	}
	run, err := m.opened.root.dir("/run")
	if err != nil {
		return fmt.Errorf("cannot use the image: its /run is not a directory: %w", err)
	}
	defer run.Close()
	if _, err := run.write(path.Base(aptConfFile), 0o600, strings.NewReader(c.aptConf())); err != nil {
		return fmt.Errorf("cannot write %s in the image: %w", aptConfFile, err)
	}
	m.env = append(slices.Clone(m.env), "APT_CONFIG="+aptConfFile)
	return nil
}

// ServeHTTP handles requests of apt.
func (c *packageCache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case subtle.ConstantTimeCompare([]byte(r.Header.Get("Proxy-Authorization")), c.auth) != 1:
		w.Header().Set("Proxy-Authenticate", `Basic realm="hapair"`)
		http.Error(w, "this proxy is for a bake", http.StatusProxyAuthRequired)
	case r.Method != http.MethodGet || r.URL.Scheme != "http" || r.URL.User != nil:
		http.Error(w, "only GET by http is possible", http.StatusForbidden)
	default:
		c.get(w, r)
	}
}

// get responds from the cache if the archive confirms that the file is unchanged, and otherwise from the archive. A package,
// and a file whose URL contains its digest, need no confirmation.
func (c *packageCache) get(w http.ResponseWriter, r *http.Request) {
	url := r.URL.String()
	have := c.store.open(r.Context(), url)
	if have != nil {
		defer have.Close()
		if digest := digestIn(r.URL.Path); digest != "" && digest == have.Digest || c.trust(url) {
			have.serve(w, r)
			return
		}
	}
	resp, err := c.ask(r, url, have)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified && have != nil {
		have.serve(w, r)
		return
	}
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Range", "Etag", "Last-Modified", "Location", "Retry-After", "Accept-Ranges"} {
		if v := resp.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(resp.StatusCode)
	if resp.StatusCode != http.StatusOK || !cacheable(resp) {
		_, _ = io.Copy(w, resp.Body)
		return
	}
	if err := c.keep(r.Context(), url, resp, w); err != nil {
		panic(http.ErrAbortHandler) // an incomplete response must not look complete
	}
}

// ask sends the request to the archive. It replaces the client's validators by those of the cached file.
func (c *packageCache) ask(r *http.Request, url string, have *cachedPackage) (*http.Response, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Range", "If-Range", "If-Modified-Since", "If-None-Match", "Cache-Control", "User-Agent", "Accept"} {
		if v := r.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	req.Header.Set("Accept-Encoding", "identity") // the cached bytes must be those whose digest apt has
	if have != nil {
		for _, name := range []string{"Range", "If-Range", "If-Modified-Since", "If-None-Match"} {
			req.Header.Del(name)
		}
		maps.Copy(req.Header, have.validators())
	}
	return c.client.Do(req)
}

// cacheable reports whether a response can be confirmed later.
func cacheable(resp *http.Response) bool {
	return (resp.Header.Get("Etag") != "" || resp.Header.Get("Last-Modified") != "" || digestIn(resp.Request.URL.Path) != "") &&
		resp.ContentLength > 0 && resp.ContentLength <= largestPackage
}

// keep copies a response to the client and to the cache.
func (c *packageCache) keep(ctx context.Context, url string, resp *http.Response, w io.Writer) error {
	digest := sha256.New()
	p, err := c.store.create(url, resp)
	if err != nil { // for example if the disk is full; the bake continues
		_, err = io.Copy(w, resp.Body)
		return err
	}
	defer p.discard()
	disk := &forgiving{w: p}
	n, err := io.Copy(io.MultiWriter(w, digest, disk), &cancelled{ctx, resp.Body})
	if err != nil {
		return err
	}
	if n != resp.ContentLength {
		return io.ErrUnexpectedEOF
	}
	if disk.err == nil {
		p.finish(sum(digest), resp.Request.URL.Path)
	}
	return nil
}

func sum(h hash.Hash) string { return fmt.Sprintf("%x", h.Sum(nil)) }

// forgiving is a writer that records its first error instead of returning it.
type forgiving struct {
	w   io.Writer
	err error
}

func (f *forgiving) Write(p []byte) (int, error) {
	if f.err == nil {
		_, f.err = f.w.Write(p)
	}
	return len(p), nil
}

// digestIn returns the SHA-256 that a path of an archive contains, as in by-hash/SHA256/…, or "" if it contains none.
func digestIn(urlPath string) string {
	_, digest, ok := strings.Cut(urlPath, "/by-hash/SHA256/")
	if !ok || len(digest) != 64 || strings.Trim(digest, "0123456789abcdef") != "" {
		return ""
	}
	return digest
}
