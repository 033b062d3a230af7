package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

const resolvConf = "/etc/resolv.conf"

// stubs returns the targets of systemd-resolved's links. /run is empty in an image, so names could not be resolved through
// them.
func stubs() []string {
	return []string{"/run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/resolv.conf"}
}

// resolver makes name resolution in the image work as on this machine, and restores the image's configuration later.
type resolver struct {
	root    root
	content []byte // content of this machine's resolv.conf
	put     bool   // whether we wrote a file in place of a file, another link, or nothing
	was     []byte // content of the file that we replaced; nil if there was none
	link    string // target of the link that we replaced
}

// set makes name resolution work. If there is a link to systemd-resolved's file, it stays, and its target is created in the
// tmpfs on /run. The target is created in any case, because a package may create such a link later.
func (r *resolver) set() error {
	for _, stub := range stubs() {
		if err := r.write(stub, r.content); err != nil {
			return err
		}
	}
	link, err := r.root.readlink(resolvConf)
	switch {
	case err == nil:
		target := link
		if !path.IsAbs(target) {
			target = path.Join("/etc", target)
		}
		for _, stub := range stubs() {
			if path.Clean(target) == stub {
				return nil
			}
		}
		r.link = link
	case errors.Is(err, fs.ErrNotExist):
	default: // a file
		if r.was, err = r.read(); err != nil {
			return err
		}
	}
	r.put = true
	return r.write(resolvConf, r.content)
}

// restore restores what set replaced, unless a package has changed it since.
func (r *resolver) restore() error {
	if !r.put {
		return nil
	}
	r.put = false
	if _, err := r.root.readlink(resolvConf); err == nil {
		return nil // a package replaced it by a link
	}
	now, err := r.read()
	if err != nil || !bytes.Equal(now, r.content) {
		return err
	}
	switch {
	case r.link != "":
		return r.root.symlink(r.link, resolvConf)
	case r.was != nil:
		return r.write(resolvConf, r.was)
	default:
		return r.root.remove(resolvConf)
	}
}

func (r *resolver) read() ([]byte, error) {
	f, err := r.root.readFile(resolvConf)
	if err != nil {
		return nil, fmt.Errorf("cannot read the image's %s: %w", resolvConf, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if b == nil {
		b = []byte{}
	}
	return b, err
}

func (r *resolver) write(p string, content []byte) error {
	if err := r.root.mkdirAll(path.Dir(p), 0o755); err != nil {
		return fmt.Errorf("cannot write %s in the image: %w", p, err)
	}
	d, name, err := r.root.parent(p)
	if err == nil {
		defer d.Close()
		_, err = d.write(name, 0o644, bytes.NewReader(content))
	}
	if err != nil {
		return fmt.Errorf("cannot write %s in the image: %w", p, err)
	}
	return nil
}
