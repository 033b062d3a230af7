package agent

import (
	"fmt"
	"maps"
	"time"

	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/regular"
)

// holderAfter is how long this node is MASTER before it says so to keepalived. One that comes back from a pause is it for a
// moment, until the holder answers its first advertisement, and must not get the bonus for that.
const holderAfter = time.Second

// tellHolder tells keepalived of which instances this node is MASTER, so that it advertises them with the holder's bonus, and
// which ones are weakened. If its configuration does not ask for that, there is no file.
func (v *vrrp) tellHolder() { _ = v.tell() }

func (v *vrrp) tell() error {
	v.telling.Lock()
	defer v.telling.Unlock()
	now := v.now()
	words := map[string]string{}
	for name, i := range v.list() {
		words[name] = "0\n"
		if keepalived.State(i.State) == keepalived.Master && now.Sub(i.Since) >= holderAfter {
			words[name] = "1\n"
		}
	}
	maps.Copy(words, v.weak)
	var failed error
	for name, word := range words {
		file := keepalived.HolderFile(v.track, name)
		said, err := regular.ReadFile(file, regular.MaxState)
		if err != nil || string(said) == word {
			continue
		}
		if err := keepalived.WriteTrackFile(file, word); err != nil {
			v.log.Error("cannot tell keepalived who holds its VIPs", "instance", name, "error", err)
			failed = fmt.Errorf("cannot tell keepalived the priority of %s: %w", name, err)
		}
	}
	return failed
}

// weaken tells keepalived what weakens instances, until it is called with nil.
func (v *vrrp) weaken(words map[string]string) error {
	v.telling.Lock()
	v.weak = words
	v.telling.Unlock()
	return v.tell()
}
