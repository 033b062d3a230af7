package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hapair/hapair/cloudinit"
	"github.com/hapair/hapair/internal/diag"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/outdir"
	"github.com/hapair/hapair/internal/paint"
	"github.com/hapair/hapair/internal/preflight"
	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/termsafe"
)

// isFolder reports whether the argument SPEC names a folder of specs.
func isFolder(path string) bool {
	info, err := os.Stat(path)
	return path != stdio && err == nil && info.IsDir()
}

// specsIn returns the paths of all specs below a folder, sorted: YAML files that have the key apiVersion of hapair. Hidden folders
// are not searched. others has the paths of the other YAML files.
func specsIn(dir string) (specs, others []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch ext := filepath.Ext(path); {
		case err != nil:
			return err
		case d.IsDir() && path != dir && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || ext != ".yaml" && ext != ".yml":
			return nil
		}
		data, err := regular.ReadFile(path, regular.MaxState)
		switch {
		case errors.Is(err, regular.ErrUnusable), errors.Is(err, regular.ErrTooLarge), err == nil && isSpec(data):
			specs = append(specs, path) // reading it as a spec reports what is wrong
		case err != nil:
			return err
		default:
			others = append(others, path)
		}
		return nil
	})
	if err == nil && len(specs) == 0 {
		err = fmt.Errorf("cannot find a spec in %s: no YAML file in it has the key apiVersion: %s", dir, spec.APIVersion)
	}
	if err != nil {
		return nil, nil, exitstatus.With(exitstatus.Failure, err)
	}
	return specs, others, nil
}

// isSpec reports whether a line of a YAML file says that it is a spec of any version.
func isSpec(data []byte) bool {
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte("apiVersion:")); ok {
			return bytes.HasPrefix(bytes.Trim(rest, " \t'\""), []byte("hapair/"))
		}
	}
	return false
}

// outcome is the result of one spec of a folder.
type outcome struct {
	Spec     string        `json:"spec"`
	Valid    bool          `json:"valid"`
	Problems diag.Problems `json:"problems"`
	Files    []rendered    `json:"files,omitempty"` // of bake render

	notes []outdir.Removed
	err   error // the spec could not be read, or its files not written
}

// eachSpec calls do for every spec, in parallel, and then report for every outcome, in the order of the specs. At most as many
// outcomes as there are processors are in memory, and one more.
func eachSpec(ctx context.Context, specs []string, do func(ctx context.Context, path string) outcome, report func(outcome) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pending := make(chan chan outcome, runtime.GOMAXPROCS(0))
	go func() {
		defer close(pending)
		for _, path := range specs {
			result := make(chan outcome, 1)
			select {
			case pending <- result:
			case <-ctx.Done():
				return
			}
			go func() { result <- do(ctx, path) }()
		}
	}()
	for result := range pending {
		if err := report(<-result); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// validateFolder checks all specs of a folder.
func (e *env) validateFolder(ctx context.Context, dir, releaseName string, cloud cloudinit.Cloud) error {
	return e.folder(ctx, dir, "valid", func(ctx context.Context, path string) outcome {
		_, problems, err := preflight.Validate(ctx, path, releaseName, cloud)
		return outcome{Spec: path, Problems: problems, err: err}
	})
}

// renderFolder renders all specs of a folder, each into its own folder below output: team/edge.yaml into OUTPUT/team/edge.
func (e *env) renderFolder(ctx context.Context, dir, releaseName, output string) error {
	specs, _, err := specsIn(dir)
	if err != nil {
		return err
	}
	from := map[string]string{}
	for _, path := range specs {
		to := folderOf(dir, path, output)
		if first, twice := from[to]; twice {
			return exitstatus.With(exitstatus.No, fmt.Errorf("cannot render %s and %s: both would be written to %s; rename one of them", first, path, to))
		}
		from[to] = path
	}
	return e.folder(ctx, dir, "rendered", func(ctx context.Context, path string) outcome {
		s, r, problems, err := preflight.Load(ctx, path, releaseName)
		o := outcome{Spec: path, Problems: s.Place(problems), err: err}
		if err != nil || e.severe(o.Problems).HasErrors() {
			return o
		}
		to := folderOf(dir, path, output)
		if o.Files, o.err = renderNodes(s, r, s.Nodes, to); o.err != nil {
			return o
		}
		o.notes, o.err = outdir.Sweep(to, renderMark, s.Cluster, func(folder string) bool { return s.Node(folder) != nil })
		return o
	})
}

// folderOf returns the folder for the files of a spec.
func folderOf(dir, path, output string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil {
		rel = filepath.Base(path)
	}
	return filepath.Join(output, strings.TrimSuffix(rel, filepath.Ext(rel)))
}

// folder does something with all specs of a folder, prints the problems of each, and a summary. verb says what became of a spec
// without errors.
func (e *env) folder(ctx context.Context, dir, verb string, do func(ctx context.Context, path string) outcome) error {
	specs, others, err := specsIn(dir)
	if err != nil {
		return err
	}
	var good, bad, failed, warnings int
	stderr := termsafe.Writer(paint.For(e.stderr, os.Getenv))
	list := "["
	err = eachSpec(ctx, specs, do, func(o outcome) error {
		o.settle(e)
		switch {
		case o.err != nil:
			failed++
			fmt.Fprintf(stderr, "bake: %s: %s\n", o.Spec, termsafe.Text(o.err.Error()))
		case o.Valid:
			good++
		default:
			bad++
		}
		for _, p := range o.Problems {
			if p.Severity == diag.Warning {
				warnings++
			}
		}
		if e.json {
			data, err := json.MarshalIndent(o, "  ", "  ")
			if err == nil {
				_, err = fmt.Fprintf(termsafe.Writer(e.stdout), "%s\n  %s", list, data)
			}
			list = ","
			return err
		}
		o.Problems.Print(stderr)
		for _, note := range o.notes {
			fmt.Fprintf(stderr, "note: %s\n", note)
		}
		return nil
	})
	if err != nil {
		return cannot("finish %s: %v", dir, err)
	}
	if e.json {
		fmt.Fprintln(e.stdout, "\n]")
	} else {
		for _, path := range others {
			fmt.Fprintf(stderr, "note: %s is not a spec: it has no apiVersion of hapair\n", path)
		}
		fmt.Fprintf(e.stdout, "%s: %s, %d %s, %d with errors, %s\n", dir, count(len(specs), "spec"), good, verb, bad+failed, count(warnings, "warning"))
	}
	switch {
	case failed > 0:
		return exitstatus.With(exitstatus.Failure, nil)
	case bad > 0:
		return exitstatus.With(exitstatus.No, nil)
	}
	return nil
}

// settle turns an error that is about the spec into problems, names the file in each problem, and sets Valid.
func (o *outcome) settle(e *env) {
	var problems diag.Problems
	if errors.As(o.err, &problems) {
		o.Problems, o.err = append(o.Problems, problems...), nil
	} else if o.err != nil && exitstatus.Of(o.err, exitstatus.No) == exitstatus.No {
		o.Problems, o.err = append(o.Problems, diag.Problem{Severity: diag.Error, Message: o.err.Error()}), nil
	}
	o.Problems = append(diag.Problems{}, e.severe(o.Problems)...)
	for i := range o.Problems {
		if o.Problems[i].File == "" {
			o.Problems[i].File = o.Spec
		}
	}
	o.Valid = o.err == nil && !o.Problems.HasErrors()
}
