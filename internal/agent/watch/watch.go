// Package watch reports that files may have changed. It watches their directories, because a watch on a file is lost when
// another file is renamed to its name (fsnotify#17, #372).
package watch

import (
	"fmt"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// Watcher watches the directories of files.
type Watcher struct {
	w *fsnotify.Watcher
	// Changed has a value if something happened in one of the directories since it was last read; never more than one. An
	// overflow of the kernel's queue also counts.
	Changed chan struct{}
	// Errors has a value if the kernel's events can no longer be read; never more than one.
	Errors chan error
}

// New returns a watcher that watches nothing yet.
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

// Close ends the watches.
func (w *Watcher) Close() error { return w.w.Close() }

// Watch watches the directories of paths, and the directories to which their symbolic links lead, because Kubernetes changes
// the files of a volume by replacing a link. A directory that does not exist is watched from the next call after its creation.
// It returns the first directory that could not be watched.
func (w *Watcher) Watch(paths []string) error {
	want := map[string]bool{}
	for _, p := range paths {
		want[filepath.Dir(p)] = true
		if real, err := filepath.EvalSymlinks(p); err == nil {
			want[filepath.Dir(real)] = true
		}
	}
	// fsnotify drops a directory that was removed or replaced; adding a watched one again does nothing.
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
			w.w.Remove(d) // it may have been removed already
		}
	}
	return first
}
