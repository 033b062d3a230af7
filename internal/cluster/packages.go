package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/upgrade"
	"github.com/hapair/hapair/internal/remote"
	"github.com/hapair/hapair/internal/spec"
)

// upgradeTime is the time limit for one node's upgrade: apt, and two handovers.
const upgradeTime = 30 * time.Minute

// Upgrade is a newer version of an installed package.
type Upgrade = upgrade.Upgrade

// NodePackages is what can be upgraded on a node, or what was.
type NodePackages struct {
	Node     string            `json:"node"`
	Upgrades []upgrade.Upgrade `json:"upgrades"`
	Holds    []string          `json:"holds,omitempty"`    // names of the VIPs that it held before
	Problems []string          `json:"problems,omitempty"` // why it is not healthy
	Err      string            `json:"error,omitempty"`
	Try      string            `json:"way_out,omitempty"`

	host remote.Host
}

// Packages asks all nodes what can be upgraded, and returns them in the order in which they must be upgraded: nodes without a
// VIP first. It calls waitFor with the nodes that have not answered yet, never concurrently.
func Packages(ctx context.Context, l *remote.Login, s *spec.Spec, waitFor func(string)) []NodePackages {
	all := make([]NodePackages, len(s.Nodes))
	patient := *l
	patient.Timeout = max(l.Timeout, 5*time.Minute) // apt fetches lists
	Each(s, waitFor, func(i int, h remote.Host) {
		n := NodePackages{Node: h.Name, host: h}
		var status control.Status
		var found upgrade.Done
		err := l.Run(ctx, h, nil, &status, "status", "--json")
		if err == nil {
			err = patient.Run(ctx, h, nil, &found, "packages", "--json")
		}
		if err != nil {
			n.Err, n.Try = Reason(err)
		}
		n.Upgrades, n.Problems = found.Upgrades, status.Problems
		if status.Maintenance {
			n.Problems = append(n.Problems, "it is in maintenance")
		}
		for _, v := range status.VIPs {
			if v.Held {
				n.Holds = append(n.Holds, v.Name)
			}
		}
		all[i] = n
	})
	slices.SortStableFunc(all, func(a, b NodePackages) int { return len(a.Holds) - len(b.Holds) })
	return all
}

// UpgradePackages upgrades the packages of nodes that are all healthy, one node after the other, and stops at the first that
// fails. It calls report before and after each node.
func UpgradePackages(ctx context.Context, l *remote.Login, nodes []NodePackages, all bool, report func(node, text string)) error {
	for _, n := range nodes {
		switch {
		case n.Err != "":
			return fmt.Errorf("nothing was upgraded: %s", n.Err)
		case len(n.Problems) > 0:
			return fmt.Errorf("nothing was upgraded: %s is not healthy: %s", n.Node, strings.Join(n.Problems, "; "))
		}
	}
	patient := *l
	patient.Timeout = upgradeTime
	args := []string{"packages", "upgrade", "--json"}
	if all {
		args = append(args, "--all")
	}
	for i, n := range nodes {
		rest := "all other nodes were upgraded before it"
		if i+1 < len(nodes) {
			rest = "the nodes after it were left as they are"
		}
		report(n.Node, "upgrading")
		var done upgrade.Done
		if err := patient.Run(ctx, n.host, nil, &done, args...); err != nil {
			return fmt.Errorf("%w; %s", err, rest)
		}
		if done.Refused != "" {
			return fmt.Errorf("%s: %s; %s", n.Node, done.Refused, rest)
		}
		report(n.Node, Words(done.Upgrades, "nothing to upgrade"))
	}
	return nil
}

// Words returns upgrades in words, or otherwise if there are none.
func Words(upgrades []upgrade.Upgrade, otherwise string) string {
	var words []string
	for _, u := range upgrades {
		kind := ""
		if u.Security {
			kind = " (security update)"
		}
		words = append(words, fmt.Sprintf("%s %s -> %s%s", u.Package, u.From, u.To, kind))
	}
	if len(words) == 0 {
		return otherwise
	}
	return strings.Join(words, ", ")
}
