package hook

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/redact"
)

// Limits of the output that is kept. The rest is read and discarded, so that the command does not block.
const (
	maxLines = 50
	maxLine  = 500 // bytes
)

// capture runs a job and returns the first lines of its output, masked.
func (r *Runner) capture(ctx context.Context, job Job) ([]string, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("%w: cannot make a pipe: %w", ErrNotStarted, err)
	}
	defer read.Close()
	lines := make(chan []string, 1)
	go func() { lines <- r.lines(read) }()
	err = r.Start(ctx, job, write)
	write.Close()
	// A process that systemd did not end may still hold the pipe open.
	_ = read.SetReadDeadline(time.Now().Add(time.Second))
	return <-lines, err
}

// lines reads output to its end and returns the first lines.
func (r *Runner) lines(from io.Reader) []string {
	var kept []string
	var mask func(string) string
	in := bufio.NewReaderSize(from, maxLine)
	cut := false // the previous line was longer than the buffer: the rest follows
	for {
		part, more, err := in.ReadLine()
		line := strings.TrimRight(strings.ToValidUTF8(string(part), "?"), " \t\r")
		if line != "" && !cut && len(kept) < maxLines {
			if mask == nil {
				mask = r.Mask()
			}
			kept = append(kept, mask(redact.Assignments(line)))
		}
		cut = more
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
				r.Log.Warn("cannot read the output of an on_change command", "error", err)
			}
			return kept
		}
	}
}
