package agent

import (
	"time"

	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/regular"
)

// holderAfter is how long this node is MASTER before it says so to keepalived. One that comes back from a pause is it for a
// moment, until the holder answers its first advertisement, and must not get the bonus for that.
const holderAfter = time.Second

// tellHolder tells keepalived of which instances this node is MASTER, so that it advertises them with the holder's bonus.
// Where its configuration does not ask for that, there is no file.
func (v *vrrp) tellHolder() {
	v.telling.Lock()
	defer v.telling.Unlock()
	now := v.now()
	for name, i := range v.list() {
		file, word := keepalived.HolderFile(v.track, name), "0\n"
		if keepalived.State(i.State) == keepalived.Master && now.Sub(i.Since) >= holderAfter {
			word = "1\n"
		}
		said, err := regular.ReadFile(file, regular.MaxState)
		if err != nil || string(said) == word {
			continue
		}
		if err := writeTrack(file, word); err != nil {
			v.log.Error("cannot tell keepalived who holds its VIPs", "instance", name, "error", err)
		}
	}
}
