package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hapair/hapair/internal/adopt"
	"github.com/hapair/hapair/internal/drill"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/termsafe"
)

// old is a pair that was set up by hand, to compare with.
type old struct {
	nodes  []adopt.Node
	byNode map[string]map[string][]byte // by node of the spec
}

// oldPair reads the files of a folder: one folder for each node, or the files of all nodes. No folder is nil.
func oldPair(dir string) (*old, error) {
	if dir == "" {
		return nil, nil
	}
	var folders []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the old pair: %w", err)
	}
	for _, e := range entries {
		sub := filepath.Join(dir, e.Name())
		if nodes, err := adopt.Load([]string{sub}); e.IsDir() && err == nil && nodes[0].HAProxy.Text != "" {
			folders = append(folders, sub)
		}
	}
	if len(folders) == 0 {
		folders = []string{dir}
	}
	nodes, err := adopt.Load(folders)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		if n.HAProxy.Text == "" || n.Keepalived.Text == "" {
			return nil, fmt.Errorf("cannot drill the old pair: %s must have haproxy.cfg and keepalived.conf", n.Name)
		}
	}
	return &old{nodes: nodes}, nil
}

// of assigns the old nodes' files to the nodes of a spec: by name, or else in order.
func (o *old) of(s *spec.Spec) (map[string]map[string][]byte, error) {
	if len(o.nodes) < len(s.Nodes) {
		return nil, fmt.Errorf("cannot drill the old pair: it has the files of %s, and the spec has %s", count(len(o.nodes), "node"), count(len(s.Nodes), "node"))
	}
	out := map[string]map[string][]byte{}
	named := !slices.ContainsFunc(s.Nodes, func(n spec.Node) bool {
		return !slices.ContainsFunc(o.nodes, func(a adopt.Node) bool { return a.Name == n.Name })
	})
	for i := range s.Nodes {
		for j := range o.nodes {
			if named && o.nodes[j].Name == s.Nodes[i].Name || !named && i == j {
				out[s.Nodes[i].Name] = o.nodes[j].Files()
			}
		}
	}
	return out, nil
}

// compare drills the old pair, and prints and writes both results side by side. The spec's own drill decides the exit status.
func (d *drilling) compare(ctx context.Context, o drill.Options, f drill.Faults, now *drill.Report, runErr error) error {
	if now == nil {
		return exitstatus.With(exitstatus.Failure, runErr)
	}
	d.screen.line("with hapair: " + now.Verdict() + "; now the old pair")
	o.ByHand, o.Discard = d.old.byNode, d.flags.image == ""
	c, err := drill.Boot(ctx, o)
	if err != nil {
		return exitstatus.With(exitstatus.Failure, fmt.Errorf("cannot boot the old pair: %w", err))
	}
	before, err := c.Run(ctx, f)
	if closed := c.Close(); err == nil {
		err = closed
	}
	if before == nil || ctx.Err() != nil {
		return exitstatus.With(exitstatus.Failure, err)
	}
	d.screen.end()
	d.finished = true
	both := &drill.Comparison{Old: before, New: now, Why: adopt.Reasons(&d.old.nodes[0])}
	if err := d.writeComparison(both); err != nil {
		return err
	}
	switch {
	case now.Good:
		return nil
	case runErr != nil:
		return exitstatus.With(exitstatus.No, runErr)
	}
	return exitstatus.With(exitstatus.No, fmt.Errorf("the verdict on the drill of the spec is %q", now.Verdict()))
}

func (d *drilling) writeComparison(c *drill.Comparison) error {
	if d.flags.report != "" {
		if err := d.writeReport(d.flags.report, c.HTML); err != nil {
			return err
		}
	}
	if d.flags.jsonReport != "" {
		if err := d.writeReport(d.flags.jsonReport, c.JSON); err != nil {
			return err
		}
	}
	switch {
	case d.json:
		return json.NewEncoder(termsafe.Writer(d.stdout)).Encode(c)
	case d.flags.report == stdio || d.flags.jsonReport == stdio:
		return nil
	}
	return c.Print(termsafe.Writer(d.stdout))
}
