package recipe

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hapair/hapair/internal/haproxy/haproxycfg"
	"github.com/hapair/hapair/internal/keepalived/keepalivedconf"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/wellknown"
)

// Image returns the recipe of what all nodes of the spec have in common: packages, users, agent, units, sysctls, and basic
// configurations. It has no identity and no secret.
func Image(s *spec.Spec, r release.Release) (Recipe, error) {
	out := Recipe{
		Release:  r.Name,
		Packages: packages(s),
		Hold:     []string{"haproxy", "keepalived"},
		Users:    []User{{Name: wellknown.CheckUser, Home: "/nonexistent"}},
		Agent:    wellknown.Agent,
		Units:    imageUnits(s),
	}
	out.Files = append(imageFiles(s, r), haproxyConfig(haproxycfg.Base(r.HAProxy)), keepalivedConfig(keepalivedconf.Base(r.Keepalived)))
	return out, out.sort()
}

// Node returns the recipe that turns an image into a node: host name, haproxy.cfg, keepalived.conf, agent.yaml, network,
// logins.
func Node(s *spec.Spec, n *spec.Node, r release.Release) (Recipe, error) {
	out := Recipe{Release: r.Name, Hostname: n.Hostname, Logins: logins(s), Network: network(s, n)}
	hap, err := haproxycfg.Render(s, n, r.HAProxy)
	if err != nil {
		return out, err
	}
	keep, err := keepalivedconf.Render(s, n, r.Keepalived)
	if err != nil {
		return out, err
	}
	agent, err := agentConfig(s, n, r, string(hap))
	if err != nil {
		return out, err
	}
	out.Files = append(specFiles(s), haproxyConfig(hap), keepalivedConfig(keep), agent)
	sockets, err := haproxycfg.Sockets(s)
	if err != nil {
		return out, err
	}
	if sockets != nil {
		out.Files = append(out.Files, ownSockets(sockets)...)
	}
	if addr, ok := haproxycfg.OwnSyslog(s, n); ok {
		out.Files = append(out.Files, syslog(addr))
	}
	if s.Firewall {
		f, err := newFirewall(s, n)
		if err != nil {
			return out, err
		}
		out.Files = append(out.Files, f)
	}
	return out, out.sort()
}

// Whole returns the recipe of everything on a node: that of the image and that of the node.
func Whole(s *spec.Spec, n *spec.Node, r release.Release) (Recipe, error) {
	image, err := Image(s, r)
	if err != nil {
		return Recipe{}, err
	}
	identity, err := Node(s, n, r)
	if err != nil {
		return Recipe{}, err
	}
	return Merge(image, identity), nil
}

// Merge returns the recipe that turns a stock machine into a node: the image's recipe with changes by the node's.
func Merge(image, node Recipe) Recipe {
	out := image
	out.Hostname, out.Logins, out.Network = node.Hostname, node.Logins, node.Network
	out.Packages = union(image.Packages, node.Packages)
	out.Hold = union(image.Hold, node.Hold)
	out.Users = over(image.Users, node.Users, func(u User) string { return u.Name })
	out.Units = over(image.Units, node.Units, func(u Unit) string { return u.Name })
	out.Files = over(image.Files, node.Files, func(f File) string { return f.Path })
	slices.SortFunc(out.Files, byPath)
	return out
}

// sort sorts the items of a recipe. Two files with the same path are an error.
func (r *Recipe) sort() error {
	slices.Sort(r.Packages)
	r.Packages = slices.Compact(r.Packages)
	slices.SortFunc(r.Files, byPath)
	for i := 1; i < len(r.Files); i++ {
		if r.Files[i].Path == r.Files[i-1].Path {
			return fmt.Errorf("cannot make the recipe: %s would be written twice", r.Files[i].Path)
		}
	}
	return nil
}

func byPath(a, b File) int { return cmp.Compare(a.Path, b.Path) }

// over returns the items of base, with those of top in place of items with the same key, and the other items of top at the end.
func over[T any](base, top []T, key func(T) string) []T {
	out := slices.Clone(base)
	for _, item := range top {
		i := slices.IndexFunc(out, func(have T) bool { return key(have) == key(item) })
		if i < 0 {
			out = append(out, item)
			continue
		}
		out[i] = item
	}
	return out
}

func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}
