package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// undoTime bounds the undoing of steps, which goes on after an interrupt.
const undoTime = 30 * time.Second

// Do carries steps out, one after the other. The first that fails ends it, with the last lines that it printed; what
// the steps want undone is undone then, also when ctx has ended.
func Do(ctx context.Context, m Machine, steps []Step, report Report) error {
	for i, s := range steps {
		err := Output(s.Name, report, func(out *Lines) error { return s.Run(ctx, m, out) })
		if err != nil {
			return errors.Join(err, undo(ctx, m, steps[:i+1]))
		}
	}
	return nil
}

// undo undoes steps, the last first.
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

// Script is a step that runs a shell script.
func Script(script string) func(context.Context, Machine, io.Writer) error {
	return func(ctx context.Context, m Machine, out io.Writer) error { return m.Run(ctx, script, out) }
}

// Output reports that a step begins, each line that it prints, and that it is done. An error carries the last lines.
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
		return fmt.Errorf("cannot %s: %w; it said:\n    %s", step, err, tail)
	}
	return fmt.Errorf("cannot %s: %w", step, err)
}

const (
	tailLines = 15   // how many lines of a failed step are shown
	lineBytes = 1000 // how much of a line is kept
)

// Lines is a writer that reports line by line and keeps the last ones. A carriage return ends a line too: programs that
// draw progress write many over each other.
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

// Printable replaces control characters, line ends aside, by spaces: what a program in an image prints is shown on
// terminals.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

func (l *Lines) flush() {
	line := strings.TrimRight(Printable(string(l.partial)), " \t")
	l.partial = l.partial[:0]
	if line == "" {
		return
	}
	if l.tail = append(l.tail, line); len(l.tail) > tailLines {
		l.tail = l.tail[1:]
	}
	l.report(Progress{Step: l.step, Line: line})
}
