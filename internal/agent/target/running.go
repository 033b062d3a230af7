package target

import (
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/regular"
)

// RunningKeepalived is the configuration that keepalived runs on, with all that it includes: the one that was proven last, or, if
// none was, what is on the disk. What an editor has saved since then is not in it.
func RunningKeepalived(s *store.Store, conf config.Keepalived) keepalived.File {
	t := &Keepalived{conf: conf}
	if goods, err := s.Goods(); err == nil {
		if good, ok := goods[t.Name()]; ok {
			if good, err = s.Fill(good); err == nil {
				var all []byte
				for _, f := range good.Files {
					all = append(append(all, f.Data...), '\n')
				}
				return keepalived.Read(all)
			}
		}
	}
	return t.file()
}

// file is what is on the disk, with all that it includes.
func (t *Keepalived) file() keepalived.File {
	var all []byte
	for _, p := range t.Paths() {
		if b, err := regular.ReadFile(p, regular.MaxConfig); err == nil {
			all = append(append(all, b...), '\n')
		}
	}
	return keepalived.Read(all)
}
