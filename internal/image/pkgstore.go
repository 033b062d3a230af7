package image

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/archive"
)

const (
	largestPackage   = 1 << 30
	packageStoreSize = 2 << 30             // maximum size of the cache in bytes
	packageStoreTime = 60 * 24 * time.Hour // files that were not used for this time are removed
)

// packageStore is a directory with a file for each URL. The file has a line of JSON, followed by the content.
type packageStore struct{ dir string }

func openPackageStore(o *Options) (packageStore, error) {
	s := packageStore{filepath.Join(o.CacheDir, "packages")}
	dir, err := archive.TrustedDir(s.dir)
	if err != nil {
		return s, fmt.Errorf("cannot cache packages in %s: %w", s.dir, err)
	}
	return s, dir.Close()
}

// packageInfo is the first line of a file of the store.
type packageInfo struct {
	URL          string `json:"url"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Digest       string `json:"sha256"` // of the content
}

// cachedPackage is an open file of the store.
type cachedPackage struct {
	packageInfo
	*os.File
	content *io.SectionReader
}

func (s packageStore) path(url string) string {
	return filepath.Join(s.dir, fmt.Sprintf("%x", sha256.Sum256([]byte(url))))
}

// open returns the stored file of a URL, or nil if there is none or its content has changed.
func (s packageStore) open(ctx context.Context, url string) *cachedPackage {
	dir, err := archive.TrustedDir(s.dir)
	if err != nil {
		return nil
	}
	defer dir.Close()
	f, err := archive.TrustedFile(dir, filepath.Base(s.path(url)))
	if err != nil {
		return nil
	}
	p := &cachedPackage{File: f}
	if p.read(ctx, url) != nil {
		f.Close()
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(f.Name(), now, now) // used by prune
	return p
}

// read reads the first line and verifies the content.
func (p *cachedPackage) read(ctx context.Context, url string) error {
	info, err := p.Stat()
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(io.LimitReader(p.File, info.Size()), 16<<10)
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if err := json.Unmarshal(line, &p.packageInfo); err != nil {
		return err
	}
	at := int64(len(line))
	digest := sha256.New()
	if _, err := io.Copy(digest, &cancelled{ctx, r}); err != nil {
		return err
	}
	if p.URL != url || p.Digest != sum(digest) {
		return fmt.Errorf("the content of %s has changed", p.Name())
	}
	p.content = io.NewSectionReader(p.File, at, info.Size()-at)
	return nil
}

// validators returns the headers that make the archive confirm that a file is unchanged.
func (p *cachedPackage) validators() http.Header {
	h := http.Header{}
	if p.ETag != "" {
		h.Set("If-None-Match", p.ETag)
	}
	if p.LastModified != "" {
		h.Set("If-Modified-Since", p.LastModified)
	}
	return h
}

func (p *cachedPackage) serve(w http.ResponseWriter, r *http.Request) {
	modified, _ := http.ParseTime(p.LastModified) // the zero time if the header is missing
	if p.ETag != "" {
		w.Header().Set("Etag", p.ETag)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", modified, p.content)
}

// newPackage is a file of the store that is being written.
type newPackage struct {
	*scratch
	info packageInfo
	path string
}

// headRoom is the space reserved for the first line of a new file, whose digest is known only at the end.
const headRoom = 4096

func (s packageStore) create(url string, resp *http.Response) (*newPackage, error) {
	f, err := newScratch(s.dir)
	if err != nil {
		return nil, err
	}
	p := &newPackage{f, packageInfo{URL: url, ETag: resp.Header.Get("Etag"), LastModified: resp.Header.Get("Last-Modified")}, s.path(url)}
	if _, err := f.Seek(headRoom, io.SeekStart); err != nil {
		f.discard()
		return nil, err
	}
	return p, nil
}

// finish gives a complete file its name. An error is ignored, because a bake can continue without the cache.
func (p *newPackage) finish(digest, urlPath string) {
	if want := digestIn(urlPath); want != "" && want != digest {
		return
	}
	p.info.Digest = digest
	line, err := json.Marshal(p.info)
	if err != nil || len(line) >= headRoom {
		return
	}
	head := slices.Concat(line, slices.Repeat([]byte(" "), headRoom-1-len(line)), []byte("\n"))
	if _, err := p.WriteAt(head, 0); err != nil {
		return
	}
	_ = p.publish(p.path, 0o600)
}

// remove removes the stored file of a URL, if there is one.
func (s packageStore) remove(url string) error {
	if err := os.Remove(s.path(url)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("cannot clean the package cache: %w", err)
	}
	return nil
}

// prune removes files that were not used for a long time, and then the oldest files if the store is too large.
func (s packageStore) prune(now time.Time) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("cannot clean the package cache: %w", err)
	}
	var files []os.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() { // another bake may have removed it
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	var size int64
	for _, f := range files {
		size += f.Size()
		if size <= packageStoreSize && now.Sub(f.ModTime()) <= packageStoreTime {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, f.Name())); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("cannot clean the package cache: %w", err)
		}
	}
	return nil
}
