package adopt

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// maxFile bounds a configuration file.
const maxFile = 16 << 20

var keepalivedBlock = regexp.MustCompile(`(?m)^\s*(vrrp_instance|vrrp_script|vrrp_sync_group|global_defs|virtual_server|static_ipaddress)\b`)

// Load reads the files of a pair: a folder for each node, with haproxy.cfg and keepalived.conf in it or below etc, or the
// files themselves. Files of one folder are of one node; several files of haproxy or keepalived in one folder are of several.
func Load(paths []string) ([]Node, error) {
	var nodes []Node
	var loose []Node
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("cannot read the old pair: %w", err)
		}
		if info.IsDir() {
			n, err := loadFolder(p)
			if err != nil {
				return nil, err
			}
			nodes = append(nodes, n)
			continue
		}
		text, err := readFile(p)
		if err != nil {
			return nil, err
		}
		file := File{p, text}
		dir := filepath.Dir(p)
		isKeepalived := keepalivedBlock.MatchString(text)
		i := slices.IndexFunc(loose, func(n Node) bool {
			return (isKeepalived && n.Keepalived.Text == "" || !isKeepalived && n.HAProxy.Text == "") &&
				(filepath.Dir(n.HAProxy.Name) == dir || filepath.Dir(n.Keepalived.Name) == dir || n.HAProxy.Name == "" || n.Keepalived.Name == "")
		})
		if i < 0 {
			loose = append(loose, Node{Read: below(dir).read, Glob: below(dir).glob})
			i = len(loose) - 1
		}
		if isKeepalived {
			loose[i].Keepalived = file
		} else {
			loose[i].HAProxy = file
		}
	}
	nodes = append(nodes, loose...)
	// The first node must have a haproxy.cfg.
	slices.SortStableFunc(nodes, func(a, b Node) int {
		switch x, y := a.HAProxy.Text == "", b.HAProxy.Text == ""; {
		case x == y:
			return 0
		case x:
			return 1
		}
		return -1
	})
	return nodes, nil
}

// loadFolder reads the files of a node.
func loadFolder(dir string) (Node, error) {
	n := Node{Name: filepath.Base(dir), Read: below(dir).read, Glob: below(dir).glob}
	for _, sub := range []string{"", "haproxy", "etc/haproxy"} {
		folder := filepath.Join(dir, sub)
		names := []string{filepath.Join(folder, "haproxy.cfg")}
		more, _ := filepath.Glob(filepath.Join(folder, "conf.d", "*.cfg"))
		slices.Sort(more)
		for _, name := range append(names, more...) {
			text, err := readFile(name)
			if os.IsNotExist(err) {
				continue
			}
			if err != nil {
				return n, err
			}
			if n.HAProxy.Name == "" {
				n.HAProxy.Name = name
			}
			n.HAProxy.Text += strings.TrimRight(text, "\n") + "\n"
		}
		if n.HAProxy.Text != "" {
			break
		}
	}
	for _, sub := range []string{"keepalived.conf", "keepalived/keepalived.conf", "etc/keepalived/keepalived.conf"} {
		name := filepath.Join(dir, sub)
		text, err := readFile(name)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return n, err
		}
		n.Keepalived = File{name, text}
		break
	}
	if n.HAProxy.Text == "" && n.Keepalived.Text == "" {
		return n, fmt.Errorf("cannot import %s: it has neither haproxy.cfg nor keepalived.conf", dir)
	}
	return n, nil
}

func readFile(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return "", fmt.Errorf("cannot read %s: it must be a file of at most %d MiB", name, maxFile>>20)
	}
	data, err := os.ReadFile(name)
	return string(data), err
}

// below is a folder that has files of a node: by their whole path below it, without etc, or by their name alone.
type below string

// names are the places in the folder where a file of the node may be.
func (dir below) names(p string) []string {
	p = strings.TrimPrefix(p, "/")
	return []string{p, strings.TrimPrefix(p, "etc/"), strings.TrimPrefix(p, "etc/haproxy/"), strings.TrimPrefix(p, "etc/keepalived/"), filepath.Base(p)}
}

func (dir below) read(p string) []byte {
	root, err := os.OpenRoot(string(dir))
	if err != nil {
		return nil
	}
	defer root.Close()
	for _, name := range dir.names(p) {
		if info, err := root.Stat(name); err == nil && info.Mode().IsRegular() && info.Size() <= maxFile {
			if data, err := fs.ReadFile(root.FS(), name); err == nil {
				return data
			}
		}
	}
	return nil
}

// glob returns the paths on the node of the files that match a pattern whose folder has no wildcard. In the folder itself, a pattern
// would match files of others.
func (dir below) glob(pattern string) []string {
	if strings.ContainsAny(path.Dir(pattern), "*?[") {
		return nil
	}
	root, err := os.OpenRoot(string(dir))
	if err != nil {
		return nil
	}
	defer root.Close()
	for _, name := range dir.names(pattern) {
		if found, err := fs.Glob(root.FS(), name); err == nil && len(found) > 0 && strings.Contains(name, "/") {
			var out []string
			for _, f := range found {
				out = append(out, path.Join(path.Dir(pattern), path.Base(f)))
			}
			return out
		}
	}
	return nil
}

// FromFiles returns a node from the content of its files, by their paths on the node.
func FromFiles(host string, files map[string][]byte) Node {
	name, _, _ := strings.Cut(host, ".")
	n := Node{Name: name, Read: func(p string) []byte { return files[p] }, Glob: func(pattern string) []string {
		var out []string
		for p := range files {
			if match, err := path.Match(pattern, p); err == nil && match {
				out = append(out, p)
			}
		}
		slices.Sort(out)
		return out
	}}
	var parts []string
	for p := range files {
		if p == "/etc/haproxy/haproxy.cfg" || strings.HasPrefix(p, "/etc/haproxy/conf.d/") && strings.HasSuffix(p, ".cfg") {
			parts = append(parts, p)
		}
	}
	slices.SortFunc(parts, func(a, b string) int { // haproxy.cfg comes first
		if main := "/etc/haproxy/haproxy.cfg"; a == main || b == main {
			return map[bool]int{true: -1, false: 1}[a == main]
		}
		return strings.Compare(a, b)
	})
	for _, p := range parts {
		n.HAProxy.Text += strings.TrimRight(string(files[p]), "\n") + "\n"
	}
	if len(parts) > 0 {
		n.HAProxy.Name = host + ":" + parts[0]
	}
	const conf = "/etc/keepalived/keepalived.conf"
	n.Keepalived = File{host + ":" + conf, string(files[conf])}
	return n
}
