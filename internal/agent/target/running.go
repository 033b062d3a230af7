package target

import (
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/regular"
)

// RunningKeepalived returns the configuration that keepalived runs on, with all included files: the last proven one or, if
// there is none, the files on the disk. It does not have changes that were saved since then.
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

// file returns the files on the disk, with all included files.
func (t *Keepalived) file() keepalived.File {
	var all []byte
	for _, p := range t.Paths() {
		if b, err := regular.ReadFile(p, regular.MaxConfig); err == nil {
			all = append(append(all, b...), '\n')
		}
	}
	return keepalived.Read(all)
}
