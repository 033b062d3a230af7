package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/termsafe"
)

// undoTime is the time limit for undoing steps, which also happens after an interrupt.
const undoTime = 30 * time.Second

// Do runs steps one after another until one fails. The error contains the last lines of the failed step's output. After a
// failure, Do runs Undo of the steps that ran, even if ctx has ended.
func Do(ctx context.Context, m Machine, steps []Step, report Report) error {
	for i, s := range steps {
		err := Output(s.Name, report, func(out *Lines) error { return s.Run(ctx, m, out) })
		if err != nil {
			return errors.Join(err, undo(ctx, m, steps[:i+1]))
		}
	}
	return nil
}

// undo undoes steps in reverse order.
func undo(ctx context.Context, m Machine, steps []Step) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	var errs []error
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].Undo == nil {
			continue
		}
		if err := steps[i].Undo(ctx, m, io.Discard); err != nil {
			errs = append(errs, fmt.Errorf("cannot undo %q: %w", steps[i].Name, err))
		}
	}
	return errors.Join(errs...)
}

// Script returns a step's Run that runs a shell script.
func Script(script string) func(context.Context, Machine, io.Writer) error {
	return func(ctx context.Context, m Machine, out io.Writer) error { return m.Run(ctx, script, out) }
}

// Output runs a step and reports its start, each line that it prints, and its end. An error contains the last lines.
func Output(step string, report Report, run func(out *Lines) error) error {
	if report == nil {
		report = func(Progress) {}
	}
	report(Progress{Step: step})
	out := &Lines{step: step, report: report}
	err := run(out)
	out.flush()
	if err == nil {
		report(Progress{Step: step, Done: true})
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("cannot %s: %w", step, err)
	}
	if tail := strings.Join(out.tail, "\n    "); tail != "" {
		return fmt.Errorf("cannot %s: %w; output:\n    %s", step, err, tail)
	}
	return fmt.Errorf("cannot %s: %w", step, err)
}

const (
	tailLines = 15   // number of lines of a failed step that an error contains
	lineBytes = 1000 // number of bytes of a line that are kept
)

// Lines is a writer that reports each line and keeps the last ones. A carriage return also ends a line, because programs
// that draw progress write many lines over each other. Lines are safe for a terminal, because programs of a base image may
// print anything.
type Lines struct {
	step    string
	report  Report
	partial []byte
	tail    []string
}

func (l *Lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			l.keep(p)
			break
		}
		l.keep(p[:i])
		l.flush()
		p = p[i+1:]
	}
	return n, nil
}

func (l *Lines) keep(p []byte) {
	room := lineBytes - len(l.partial)
	l.partial = append(l.partial, p[:min(len(p), room)]...)
}

func (l *Lines) flush() {
	line := termsafe.Line(strings.TrimRight(string(l.partial), " \t"))
	l.partial = l.partial[:0]
	if line == "" {
		return
	}
	if l.tail = append(l.tail, line); len(l.tail) > tailLines {
		l.tail = l.tail[1:]
	}
	l.report(Progress{Step: l.step, Line: line})
}
