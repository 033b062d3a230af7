package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/hapair/hapair/internal/cluster"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/rollout"
	"github.com/hapair/hapair/internal/termsafe"
)

// rolloutPackages upgrades haproxy and keepalived, one node after the other.
func (e *env) rolloutPackages(ctx context.Context, path string, f rolloutFlags) error {
	s, err := e.load(path)
	if err != nil {
		return err
	}
	var nodes []cluster.NodePackages
	e.wait("ask the nodes for updates", func(waitFor func(string)) { nodes = cluster.Packages(ctx, f.login, s, waitFor) })
	newer, err := e.printPackages(nodes, f.allUpdates)
	if err != nil || !newer || f.dryRun {
		return err
	}
	if !f.yes {
		yes, err := e.ask("Upgrade the nodes in this order, one after the other? [y/N] ")
		if err != nil || !yes {
			return err
		}
	}
	err = cluster.UpgradePackages(ctx, f.login, nodes, f.allUpdates, func(node, text string) { e.printEvent(rollout.Event{Node: node, Text: text}) })
	if err != nil {
		return exitstatus.With(exitstatus.No, errors.New(termsafe.Line(err.Error())))
	}
	return nil
}

// printPackages prints what can be upgraded, and reports whether there is something to do.
func (e *env) printPackages(nodes []cluster.NodePackages, all bool) (newer bool, err error) {
	out := termsafe.Writer(e.stdout)
	failed := false
	for i := range nodes {
		n := &nodes[i]
		if !all {
			n.Upgrades = slices.DeleteFunc(n.Upgrades, func(u cluster.Upgrade) bool { return !u.Security })
		}
		newer, failed = newer || len(n.Upgrades) > 0, failed || n.Err != ""
		if e.json {
			continue
		}
		if n.Err != "" {
			fmt.Fprintf(out, "%s: %s\n", n.Node, notAnswered(n.Err, n.Try))
			continue
		}
		fmt.Fprintf(out, "%s: %s\n", n.Node, termsafe.Line(cluster.Words(n.Upgrades, "nothing to upgrade")))
	}
	if e.json {
		enc := json.NewEncoder(out)
		if err := enc.Encode(map[string]any{"packages": nodes}); err != nil {
			return false, cannot("print the packages: %w", err)
		}
	}
	if failed {
		return false, exitstatus.With(exitstatus.Failure, nil)
	}
	return newer, nil
}
