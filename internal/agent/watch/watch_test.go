package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func expect(t *testing.T, w *Watcher, what string) {
	t.Helper()
	select {
	case <-w.Changed:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s was not noticed", what)
	}
	// one save causes several events
	for {
		select {
		case <-w.Changed:
			continue
		case <-time.After(50 * time.Millisecond):
		}
		return
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryWayOfSavingIsNoticed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "haproxy.cfg")
	write(t, path, "one")
	w, err := New()
	must(t, err)
	defer w.Close()
	must(t, w.Watch([]string{path}))
	write(t, path, "in place")
	expect(t, w, "a write in place")
	write(t, path+".new", "renamed")
	must(t, os.Rename(path+".new", path))
	expect(t, w, "a rename")
	write(t, path, "in place again")
	expect(t, w, "a write after a rename")
	must(t, os.Remove(path))
	expect(t, w, "a removal")
}

func TestSwappedLinkIsNoticed(t *testing.T) {
	dir := t.TempDir()
	for _, v := range []string{"v1", "v2"} {
		must(t, os.Mkdir(filepath.Join(dir, v), 0o700))
		write(t, filepath.Join(dir, v, "haproxy.cfg"), v)
	}
	// Kubernetes mounts a volume like this: haproxy.cfg → ..data/haproxy.cfg, ..data → v1.
	must(t, os.Symlink("v1", filepath.Join(dir, "..data")))
	path := filepath.Join(dir, "haproxy.cfg")
	must(t, os.Symlink("..data/haproxy.cfg", path))
	w, err := New()
	must(t, err)
	defer w.Close()
	must(t, w.Watch([]string{path}))
	must(t, os.Symlink("v2", filepath.Join(dir, "..tmp")))
	must(t, os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
	expect(t, w, "a link that was swapped")
	must(t, w.Watch([]string{path}))
	write(t, filepath.Join(dir, "v2", "haproxy.cfg"), "edited")
	expect(t, w, "an edit where the link leads now")
}

func TestRecreatedDirectoryIsWatched(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "haproxy")
	path := filepath.Join(dir, "haproxy.cfg")
	w, err := New()
	must(t, err)
	defer w.Close()
	if err := w.Watch([]string{path}); err == nil {
		t.Fatal("watching a missing directory succeeded")
	}
	must(t, os.Mkdir(dir, 0o700))
	must(t, w.Watch([]string{path}))
	must(t, os.RemoveAll(dir))
	expect(t, w, "that the directory went")
	must(t, os.Mkdir(dir, 0o700))
	must(t, w.Watch([]string{path}))
	write(t, path, "back")
	expect(t, w, "an edit after the directory came back")
}
