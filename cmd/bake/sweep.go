package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/internal/outdir"
	"github.com/hapair/hapair/internal/spec"
)

// seedsMark is the name of a file that lists what bake cloud-init wrote to a node's folder.
const seedsMark = ".written-by-bake"

// markSeeds writes the mark into each node's folder of seeds.
func markSeeds(dir, cluster string, written []cloudinit.Written) error {
	marks := map[string]outdir.Mark{}
	for _, w := range written {
		if _, ok := marks[w.Node]; !ok {
			marks[w.Node] = outdir.NewMark(cluster)
		}
		content, err := os.ReadFile(w.Path)
		if err != nil {
			return fmt.Errorf("cannot read a file just written: %w", err)
		}
		marks[w.Node].Add(filepath.Base(w.Path), content)
	}
	for node, m := range marks {
		if err := m.Write(filepath.Join(dir, node), seedsMark); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes the files that an earlier run wrote for nodes that are no longer in the spec.
func (e *env) sweep(dir, mark string, s *spec.Spec) error {
	removed, err := outdir.Sweep(dir, mark, s.Cluster, func(folder string) bool { return s.Node(folder) != nil })
	for _, r := range removed {
		fmt.Fprintf(e.stderr, "note: %s\n", r)
	}
	return err
}
