package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/hapair/hapair/internal/cluster"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/nodediff"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/termsafe"
)

// describesNodes reports whether a path is a folder, or a file that looks like a spec.
func describesNodes(path string) bool {
	fi, err := os.Stat(path)
	if err != nil {
		return false
	}
	if fi.IsDir() {
		return true
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 64<<10)
	n, _ := io.ReadFull(f, head)
	return bytes.Contains(head[:n], []byte("apiVersion:")) && !bytes.Contains(head[:n], []byte{0})
}

// diffNodes prints how nodes change from one state to another: from the first argument to the second, or from the running
// nodes to the only one.
func (e *env) diffNodes(ctx context.Context, args []string, f *diffFlags) error {
	if f.unified {
		return exitstatus.With(exitstatus.Usage, fmt.Errorf("cannot use --unified with %s: it is for images; the diff of files is always unified", args[0]))
	}
	var states []*nodediff.State
	var s *spec.Spec
	for _, path := range args {
		st, sp, err := e.nodesState(ctx, path, f.release)
		if err != nil {
			return err
		}
		states, s = append(states, st), sp
	}
	if len(states) == 1 {
		if s == nil {
			return exitstatus.With(exitstatus.Usage, fmt.Errorf("cannot compare %s with running nodes: it must be a spec, which has their addresses", args[0]))
		}
		var running *nodediff.State
		e.wait("query the nodes over ssh", func(waitFor func(string)) { running = cluster.State(ctx, f.login, s, states[0], waitFor) })
		states = []*nodediff.State{running, states[0]}
	}
	return e.printDifferences(nodediff.Compare(states[0], states[1]))
}

// nodesState reads a folder, or a spec, which it returns, too.
func (e *env) nodesState(ctx context.Context, path, releaseName string) (*nodediff.State, *spec.Spec, error) {
	if fi, err := os.Stat(path); err == nil && fi.IsDir() {
		st, err := nodediff.FromFolder(path, renderMark)
		if err != nil {
			return nil, nil, exitstatus.With(exitstatus.Failure, err)
		}
		return st, nil, nil
	}
	s, r, err := e.loadFor(ctx, path, releaseName)
	if err != nil {
		return nil, nil, err
	}
	st, err := nodediff.FromSpec(s, r)
	if err != nil {
		return nil, nil, e.renderError(err)
	}
	return st, s, nil
}

// printDifferences prints differences. It returns an error if there is one, or if a node could not be asked.
func (e *env) printDifferences(all []nodediff.Difference) error {
	if e.json {
		enc := json.NewEncoder(termsafe.Writer(e.stdout))
		enc.SetIndent("", "  ")
		if err := enc.Encode(map[string]any{"nodes": all}); err != nil {
			return cannot("print the differences: %w", err)
		}
	} else {
		out := termsafe.Writer(e.stdout)
		for i := range all {
			printDifference(out, &all[i])
		}
	}
	code := exitstatus.OK
	for i := range all {
		switch {
		case all[i].Err != "":
			return exitstatus.With(exitstatus.Failure, nil)
		case !all[i].Same():
			code = exitstatus.No
		}
	}
	if code != exitstatus.OK {
		return exitstatus.With(code, nil)
	}
	return nil
}

func printDifference(w io.Writer, d *nodediff.Difference) {
	fmt.Fprintf(w, "%s\n", d.Node)
	switch {
	case d.Err != "":
		fmt.Fprintln(w, notAnswered(d.Err, d.Try))
	case d.Same():
		fmt.Fprintln(w, "no difference")
	}
	for _, f := range d.Files {
		if f.Meta != "" {
			fmt.Fprintf(w, "%s: mode and owner change: %s\n", f.Path, f.Meta)
		}
		if f.Hidden {
			fmt.Fprintf(w, "%s: %s; its content is not shown, because it may hold a secret\n", f.Path, f.Change)
		}
		fmt.Fprint(w, f.Diff)
	}
	for _, effect := range d.Effects {
		fmt.Fprintf(w, "effect: %v\n", effect)
	}
	fmt.Fprintln(w)
}
