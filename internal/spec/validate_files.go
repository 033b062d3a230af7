package spec

import (
	"fmt"
	"io/fs"
	"regexp"
	"strconv"

	"github.com/hapair/hapair/units"
)

// fileMode matches modes with which only root can write.
var fileMode = regexp.MustCompile(`^0?[0-7][0145][0145]$`)

// files validates the key files.
func (c check) files() {
	taken := map[string]string{}
	for _, f := range units.All(units.Features{Node: true, Firewall: true, Certificates: true}) {
		taken[f.Path] = "hapair's own"
	}
	for i := range c.s.Files {
		f, path := &c.s.Files[i], fmt.Sprintf("files[%d]", i)
		f.Perm = 0o644
		if c.HasError(path) {
			continue
		}
		if c.required(path + ".path") {
			c.path(path+".path", f.Path)
			if whose, twice := taken[f.Path]; twice {
				c.Problem(path+".path", quote(f.Path)+" is "+whose, "give it another path")
			}
			taken[f.Path] = "another entry of files already has this path"
		}
		switch from, content := c.Has(path+".from"), c.Has(path+".content"); {
		case from && content:
			c.Problem(path+".content", "from and content are both given", "must have exactly one of them")
		case !from && !content:
			c.Problem(path, "has neither from nor content", "name a file beside the spec in from, or write its content")
		}
		if !c.written(path + ".mode") {
			continue
		}
		if !fileMode.MatchString(f.Mode) {
			c.Problem(path+".mode", quote(f.Mode)+" is not allowed here", `write "0644", or "0640" if not all users may read it; only root may write it`)
			continue
		}
		if perm, err := strconv.ParseUint(f.Mode, 8, 16); err == nil {
			f.Perm = fs.FileMode(perm)
		}
	}
}

// Delivers returns the content of the file with a path in the key files; nil if there is none.
func (s *Spec) Delivers(path string) []byte {
	for i := range s.Files {
		if s.Files[i].Path == path {
			return append([]byte{}, s.Files[i].Data...)
		}
	}
	return nil
}
