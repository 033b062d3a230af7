// Command record turns the output of a program with its times, as script(1) of util-linux logs them, into an animated picture.
//
//	record -log FILE -timing FILE -title TEXT -o picture.svg
//
// scripts/record runs it.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("record", flag.ContinueOnError)
	flags.SetOutput(stderr)
	log := flags.String("log", "", "the log of the output")
	timing := flags.String("timing", "", "the log of its times")
	title := flags.String("title", "", "what the picture shows, for people who cannot see it")
	prompt := flags.String("prompt", "", "the command that the picture begins with")
	out := flags.String("o", "", "the picture")
	columns := flags.Int("columns", 100, "width of the terminal")
	rows := flags.Int("rows", 24, "height of the terminal")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	err := func() error {
		data, err := os.ReadFile(*log)
		if err != nil {
			return err
		}
		times, err := os.ReadFile(*timing)
		if err != nil {
			return err
		}
		frames, err := play(data, string(times), *prompt, *columns, *rows)
		if err != nil {
			return err
		}
		return os.WriteFile(*out, draw(frames, *title, *columns, *rows), 0o644)
	}()
	if err != nil {
		fmt.Fprintln(stderr, "record: cannot make the picture:", err)
		return 3
	}
	return 0
}

// frame is what the terminal shows for some time.
type frame struct {
	lines [][]cell
	lasts time.Duration
}

// Times of the recording: a frame lasts at least shortest, because faster changes cannot be read, and a pause at most longest.
const (
	shortest = 250 * time.Millisecond
	longest  = 1500 * time.Millisecond
	last     = 8 * time.Second
)

// play returns the frames of a recording. timing has a line for each piece of output: the seconds since the one before, and the
// number of bytes.
func play(log []byte, timing, prompt string, columns, rows int) ([]frame, error) {
	if bytes.HasPrefix(log, []byte("Script started")) {
		_, log, _ = bytes.Cut(log, []byte("\n"))
	}
	t := newTerminal(columns, rows)
	var frames []frame
	add := func(lasts time.Duration) {
		frames = append(frames, frame{t.screen(), lasts})
	}
	t.write([]byte("$ "))
	for _, word := range strings.SplitAfter(prompt, " ") {
		t.write([]byte(word))
		add(shortest)
	}
	t.write([]byte("\r\n"))
	var since time.Duration
	for line := range strings.Lines(timing) {
		var seconds float64
		var size int
		if _, err := fmt.Sscan(line, &seconds, &size); err != nil || size < 0 || size > len(log) {
			return nil, fmt.Errorf("the times are not those of the output: %q", line)
		}
		if since += time.Duration(seconds * float64(time.Second)); since >= shortest {
			add(min(since, longest))
			since = 0
		}
		t.write(log[:size])
		log = log[size:]
	}
	add(last)
	return frames, nil
}
