package vrrp

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"

	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/regular"
)

// holderAfter is how long this node is MASTER before it gets the holder's bonus. A node that continues after a pause is MASTER
// for a moment, until the holder answers its first advertisement, and must not get the bonus.
const holderAfter = time.Second

// WriteHolderFiles writes the holder's files, from which keepalived reads whether this node is MASTER of an instance. It then
// advertises the instance with the holder's bonus, or with less priority if the instance is weakened. Without a bonus in its
// configuration there are no files.
func (v *States) WriteHolderFiles() { _ = v.writeHolderFiles() }

func (v *States) writeHolderFiles() error {
	v.writing.Lock()
	defer v.writing.Unlock()
	now := v.Now()
	words := map[string]string{}
	for name, i := range v.List() {
		words[name] = "0\n"
		if i.State == keepalived.Master && now.Sub(i.Since) >= holderAfter {
			words[name] = "1\n"
		}
	}
	maps.Copy(words, v.weak)
	var failed error
	for name, word := range words {
		file := keepalived.HolderFile(v.Track, name)
		said, err := regular.ReadFile(file, regular.MaxState)
		if err != nil || string(said) == word {
			continue
		}
		if err := keepalived.WriteTrackFile(file, word); err != nil {
			v.Log.Error("cannot tell keepalived which VIPs this node holds", "instance", name, "error", err)
			failed = fmt.Errorf("cannot tell keepalived the priority of %s: %w", name, err)
		}
	}
	return failed
}

// Weaken lowers the priorities of instances by the words in their holder's files, until it is called with nil.
func (v *States) Weaken(words map[string]string) error {
	v.writing.Lock()
	v.weak = words
	v.writing.Unlock()
	return v.writeHolderFiles()
}

// Weakener returns a Weaken for an agent whose daemon is dead: with nil it restores the previous files.
func Weakener(track string) func(words map[string]string) error {
	before := map[string]string{}
	return func(words map[string]string) error {
		if words == nil {
			words = before
		}
		for name, word := range words {
			file := keepalived.HolderFile(track, name)
			said, err := regular.ReadFile(file, regular.MaxState)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = keepalived.WriteTrackFile(file, word)
			}
			if err != nil {
				return fmt.Errorf("cannot tell keepalived the priority of %s: %w", name, err)
			}
			if _, ok := before[name]; !ok {
				before[name] = string(said)
			}
		}
		return nil
	}
}

// Holding returns for how long this node has been MASTER of the instance that it became MASTER of last; false if it is not
// MASTER.
func (v *States) Holding() (since time.Duration, ok bool) {
	now := sinceBoot()
	for _, i := range v.List() {
		if i.State != keepalived.Master {
			continue
		}
		if held := now - i.SinceBoot; !ok || held < since {
			since, ok = held, true
		}
	}
	return since, ok
}
