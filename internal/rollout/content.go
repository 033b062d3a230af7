// Package rollout brings a revision to all nodes of a pair, or to none.
package rollout

import (
	"encoding/json"
	"fmt"

	"github.com/hapair/hapair/internal/recipe"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/spec"
)

// Content returns what a node must contain: the same as the deliverers of its whole recipe install. agent is the digest of
// the agent's program.
func Content(r recipe.Recipe, agent string) (revision.Content, error) {
	c := revision.Content{Release: r.Release, Packages: r.Packages, Hold: r.Hold, Agent: agent}
	for _, u := range r.Users {
		c.Users = append(c.Users, revision.User{Name: u.Name, Home: u.Home})
	}
	for _, f := range r.Files {
		c.Files = append(c.Files, revision.File{Path: f.Path, Mode: f.Mode.Perm(), Owner: f.Owner, Group: f.Group, Digest: revision.Sum(f.Content), Data: f.Content})
	}
	for _, u := range r.Units {
		c.Units = append(c.Units, revision.Unit{Name: u.Name, State: u.State})
	}
	first, err := json.Marshal([]any{r.Hostname, r.Logins, r.Network})
	if err != nil {
		return c, fmt.Errorf("cannot describe what a first boot sets: %w", err)
	}
	c.FirstBoot = revision.Sum(first)
	return c, nil
}

// Members returns the members of a header for a spec's nodes, without predecessors and contents.
func Members(s *spec.Spec) []revision.Member {
	var all []revision.Member
	for i := range s.Nodes {
		m := revision.Member{Name: s.Nodes[i].Name}
		for _, a := range s.Nodes[i].Addresses {
			m.Addresses = append(m.Addresses, a.Addr)
		}
		all = append(all, m)
	}
	return all
}
