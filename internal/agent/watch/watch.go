// Package watch tells when files may have changed. It watches their directories: an atomic rename loses a watch on the
// file itself (fsnotify#17, #372).
package watch

import (
	"fmt"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// Watcher watches the directories of files.
type Watcher struct {
	w *fsnotify.Watcher
	// Changed has a value when something happened in one of the directories since it was last read. Never more than one
	// waits. An overflow of the kernel's queue counts as something that happened.
	Changed chan struct{}
	// Errors has a value when the kernel's events can no longer be read. Never more than one waits.
	Errors chan error
}

// New is a watcher that watches nothing yet.
func New() (*Watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("cannot watch files: %w", err)
	}
	watcher := &Watcher{w: w, Changed: make(chan struct{}, 1), Errors: make(chan error, 1)}
	go watcher.forward()
	return watcher, nil
}

func (w *Watcher) forward() {
	for {
		select {
		case _, ok := <-w.w.Events:
			if !ok {
				return
			}
		case err, ok := <-w.w.Errors:
			if !ok {
				return
			}
			select {
			case w.Errors <- err:
			default:
			}
		}
		select {
		case w.Changed <- struct{}{}:
		default:
		}
	}
}

// Close ends it.
func (w *Watcher) Close() error { return w.w.Close() }

// Watch makes the directories of paths the ones that are watched, and those that their symbolic links lead to: a volume of
// Kubernetes swaps a link in between. A directory that is not there yet is watched from the next call on. It returns the
// first thing that could not be watched.
func (w *Watcher) Watch(paths []string) error {
	want := map[string]bool{}
	for _, p := range paths {
		want[filepath.Dir(p)] = true
		if real, err := filepath.EvalSymlinks(p); err == nil {
			want[filepath.Dir(real)] = true
		}
	}
	// fsnotify forgets a directory that was removed or replaced; adding one that it has does nothing.
	listed := map[string]bool{}
	for _, d := range w.w.WatchList() {
		listed[d] = true
	}
	var first error
	for d := range want {
		if listed[d] {
			continue
		}
		if err := w.w.Add(d); err != nil {
			if first == nil {
				first = fmt.Errorf("cannot watch %s: %w", d, err)
			}
			continue
		}
	}
	for d := range listed {
		if !want[d] {
			w.w.Remove(d) // it may be gone already
		}
	}
	return first
}
