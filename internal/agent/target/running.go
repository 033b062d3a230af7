package target

import (
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/haproxy"
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

// haproxyRuns is what haproxy runs on.
type haproxyRuns struct {
	conf    string            // haproxy.cfg, with the file of hapair's sockets
	digests map[string]string // of all files, by path
}

// runningHAProxy returns the files that were proven last; false if none were.
func runningHAProxy(s *store.Store, conf config.HAProxy) (haproxyRuns, bool) {
	r, known := haproxyRuns{digests: map[string]string{}}, false
	goods, err := s.Goods()
	if err != nil {
		return r, false
	}
	good, ok := goods[(&HAProxy{}).Name()]
	if !ok {
		return r, false
	}
	if good, err = s.Fill(good); err != nil {
		return r, false
	}
	for _, f := range good.Files {
		r.digests[f.Path] = f.Digest
	}
	for _, path := range []string{conf.Config, haproxy.SocketsFile(conf.Config)} {
		for _, f := range good.Files {
			if f.Path == path {
				r.conf += string(f.Data) + "\n"
				known = known || path == conf.Config
			}
		}
	}
	return r, known
}
