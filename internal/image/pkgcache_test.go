package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeArchive is a server of files with modification times. It records requests.
type fakeArchive struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string]string
	time  time.Time
	asked []string // requests as "STATUS PATH"
}

func newFakeArchive(t *testing.T) *fakeArchive {
	a := &fakeArchive{files: map[string]string{}, time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (a *fakeArchive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &statusWriter{w, http.StatusOK}
	if content, ok := a.files[r.URL.Path]; ok {
		http.ServeContent(s, r, "", a.time, strings.NewReader(content))
	} else {
		http.NotFound(s, r)
	}
	a.asked = append(a.asked, fmt.Sprint(s.status, " ", r.URL.Path))
}

// put writes a file of the archive.
func (a *fakeArchive) put(path, content string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files[path] = content
	a.time = a.time.Add(time.Hour)
}

// since returns the requests since the last call.
func (a *fakeArchive) since() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.asked
	a.asked = nil
	return asked
}

// aptGet sends a request to the proxy of a new bake, as apt does. The bake succeeds.
func aptGet(t *testing.T, dir, url string, header ...string) (int, string) {
	t.Helper()
	var status int
	var body string
	cachedBake(t, dir, func(c *packageCache) {
		status, body = proxied(t, c.proxy, url, header...)
		c.confirm()
	})
	return status, body
}

// cachedBake starts the proxy of a new bake, and stops it after use.
func cachedBake(t *testing.T, dir string, use func(*packageCache)) {
	t.Helper()
	c, err := startPackageCache(&Options{CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	use(c)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func proxied(t *testing.T, proxy, address string, header ...string) (int, string) {
	t.Helper()
	through, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(through), DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestPackageCache(t *testing.T) {
	a := newFakeArchive(t)
	dir := t.TempDir()
	list := "the package list"
	hashed := fmt.Sprintf("/dists/noble/main/by-hash/SHA256/%x", sha256.Sum256([]byte(list)))
	a.put("/InRelease", "one")
	a.put(hashed, list)
	step := func(path, want string, asked ...string) {
		t.Helper()
		if status, got := aptGet(t, dir, a.URL+path); status != http.StatusOK || got != want {
			t.Errorf("%s: status %d, %q, want %q", path, status, got, want)
		}
		if got := a.since(); !slices.Equal(got, asked) {
			t.Errorf("%s: the archive was asked %q, want %q", path, got, asked)
		}
	}
	step("/InRelease", "one", "200 /InRelease")
	step("/InRelease", "one", "304 /InRelease") // the next bake
	step(hashed, list, "200 "+hashed)
	step(hashed, list)
	a.put("/InRelease", "two")
	step("/InRelease", "two", "200 /InRelease")
	step("/InRelease", "two", "304 /InRelease")

	if status, got := aptGet(t, dir, a.URL+"/InRelease", "Range", "bytes=1-"); status != http.StatusPartialContent || got != "wo" {
		t.Errorf("a range: status %d, %q", status, got)
	}
	a.since()
	for range 2 { // a missing file is not cached
		if status, _ := aptGet(t, dir, a.URL+"/none"); status != http.StatusNotFound {
			t.Errorf("a missing file: status %d", status)
		}
	}
	if got := a.since(); len(got) != 2 {
		t.Errorf("the archive was asked %q", got)
	}
	a.Close()
	if status, _ := aptGet(t, dir, a.URL+"/InRelease"); status != http.StatusBadGateway {
		t.Errorf("without the archive: status %d", status)
	}
	if status, got := aptGet(t, dir, a.URL+hashed); status != http.StatusOK || got != list {
		t.Errorf("without the archive: status %d, %q", status, got)
	}
}

// A cached package is used without a question to the archive, unless apt may have refused it: it asks again, or the bake fails.
func TestPackageCacheOfPackages(t *testing.T) {
	const deb = "/pool/haproxy_3.2.1_amd64.deb"
	a := newFakeArchive(t)
	dir := t.TempDir()
	a.put(deb, "one")
	get := func(c *packageCache, want string, asked ...string) {
		t.Helper()
		if status, got := proxied(t, c.proxy, a.URL+deb); status != http.StatusOK || got != want {
			t.Errorf("status %d, %q, want %q", status, got, want)
		}
		if got := a.since(); !slices.Equal(got, asked) {
			t.Errorf("the archive was asked %q, want %q", got, asked)
		}
	}
	cachedBake(t, dir, func(c *packageCache) { get(c, "one", "200 "+deb) })
	cachedBake(t, dir, func(c *packageCache) {
		get(c, "one")
		c.confirm()
	})
	a.put(deb, "two") // an archive should not do that
	cachedBake(t, dir, func(c *packageCache) {
		get(c, "one")
		get(c, "two", "200 "+deb)
	})
	a.put(deb, "three")
	cachedBake(t, dir, func(c *packageCache) { get(c, "three", "200 "+deb) }) // because the last bake failed
	a.put(deb, "four")
	cachedBake(t, dir, func(c *packageCache) { get(c, "three") }) // fails
	cachedBake(t, dir, func(c *packageCache) { get(c, "four", "200 "+deb) })
}

// A cached file that was changed must be downloaded again. If the digest of a response differs from the digest in its URL,
// the response must not be cached.
func TestPackageCacheDamaged(t *testing.T) {
	a := newFakeArchive(t)
	dir := t.TempDir()
	a.put("/pool/haproxy.deb", "good")
	aptGet(t, dir, a.URL+"/pool/haproxy.deb")
	files, err := filepath.Glob(filepath.Join(dir, "packages", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %q, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{"content": bytes.Replace(b, []byte("good"), []byte("evil"), 1), "cut": b[:len(b)-1], "head": b[1:], "empty": {}} {
		if err := os.WriteFile(files[0], damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		a.since()
		if status, got := aptGet(t, dir, a.URL+"/pool/haproxy.deb"); status != http.StatusOK || got != "good" {
			t.Errorf("%s: status %d, %q", name, status, got)
		}
		if got := a.since(); !slices.Equal(got, []string{"200 /pool/haproxy.deb"}) {
			t.Errorf("%s: the archive was asked %q", name, got)
		}
	}
	// A cached file that others can write to must not be used.
	if err := os.Chmod(files[0], 0o666); err != nil {
		t.Fatal(err)
	}
	a.since()
	aptGet(t, dir, a.URL+"/pool/haproxy.deb")
	if got := a.since(); !slices.Equal(got, []string{"200 /pool/haproxy.deb"}) {
		t.Errorf("a file that others can write to: the archive was asked %q", got)
	}
	lie := "/dists/noble/by-hash/SHA256/" + strings.Repeat("0", 64)
	a.put(lie, "something else")
	for range 2 {
		aptGet(t, dir, a.URL+lie)
	}
	if got := a.since(); !slices.Equal(got, []string{"200 " + lie, "200 " + lie}) {
		t.Errorf("a file with another digest than its name: the archive was asked %q", got)
	}
}

// The proxy is for one bake only: other users of the machine cannot use it, and it forwards only requests for files of
// archives.
func TestPackageCacheIsNoOpenProxy(t *testing.T) {
	a := newFakeArchive(t)
	a.put("/file", "content")
	c, err := startPackageCache(&Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	u, err := url.Parse(c.proxy)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []*url.Userinfo{nil, url.UserPassword("apt", "wrong")} {
		other := *u
		other.User = user
		if status, _ := proxied(t, other.String(), a.URL+"/file"); status != http.StatusProxyAuthRequired {
			t.Errorf("%v: status %d", user, status)
		}
	}
	if status, got := proxied(t, c.proxy, a.URL+"/file"); status != http.StatusOK || got != "content" {
		t.Errorf("status %d, %q", status, got)
	}
	if got := a.since(); !slices.Equal(got, []string{"200 /file"}) {
		t.Errorf("the archive was asked %q", got)
	}
}

// apt in an image uses the proxy, and its configuration does not stay in the image.
func TestPackageCacheInAnImage(t *testing.T) {
	o := toyOptions(t, toyBase(t))
	var said bytes.Buffer
	bake(t, o, func(ctx context.Context, m *Machine) error {
		return m.Run(ctx, "cat \"$APT_CONFIG\"; stat -c %a \"$APT_CONFIG\"\n", &said)
	})
	if got := said.String(); !strings.HasPrefix(got, `Acquire::http::Proxy "http://apt:`) || !strings.HasSuffix(got, "\n600\n") {
		t.Errorf("apt's configuration: %q", got)
	}
	dir := filepath.Join(t.TempDir(), "root")
	if err := Extract(t.Context(), o.Output, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, aptConfFile)); err == nil {
		t.Errorf("%s was left in the image", aptConfFile)
	}
}

func TestPackageCachePrune(t *testing.T) {
	s, err := openPackageStore(&Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, age := range map[string]time.Duration{"new": time.Hour, "old": packageStoreTime + time.Hour} {
		file := filepath.Join(s.dir, name)
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"large", "larger"} { // sparse files
		file := filepath.Join(s.dir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, packageStoreSize); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.prune(now); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("files left: %v, %v", entries, err)
	}
}
