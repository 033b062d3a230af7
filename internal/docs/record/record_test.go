package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

func text(f frame) string {
	var lines []string
	for _, l := range f.lines {
		var b strings.Builder
		for _, c := range l {
			b.WriteRune(c.char)
		}
		lines = append(lines, b.String())
	}
	return strings.Join(lines, "|")
}

// TestPlay plays a recording with a live line that is redrawn, a colour, a character in two pieces, and a line that is too long.
func TestPlay(t *testing.T) {
	log := "Script started on some day\none\r\nlive 1\r\n\x1b[1A\x1b[Jlive 2\r\n\x1b[1A\x1b[J\x1b[32mok\x1b[0m …\r\nabcdefghijkl"
	frames, err := play([]byte(log), "0.5 5\n0.5 8\n0.01 15\n9 21\n0.3 1\n0.1 14\n", "run it", 10, 4)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range frames {
		got = append(got, text(f)+" "+f.lasts.String())
	}
	want := []string{"$ run  250ms", "$ run it 250ms", "$ run it| 500ms", "$ run it|one| 500ms", "$ run it|one|live 2| 1.5s"}
	if strings.Join(got[:len(want)], "\n") != strings.Join(want, "\n") {
		t.Errorf("the frames are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if end := frames[len(frames)-1]; text(end) != "one|ok …|abcdefghij|kl" || end.lines[1][0].style != 32 || end.lasts != last {
		t.Errorf("the last frame is %q for %v", text(end), end.lasts)
	}
	if _, err := play([]byte("a"), "0.1 5\n", "", 10, 4); err == nil {
		t.Error("play takes times of more output than there is")
	}
	picture := draw(frames, "a < b", 10, 4)
	wellFormed(t, picture)
	if n := strings.Count(string(picture), ">one<"); n != 1 {
		t.Errorf("the picture has the line %q %d times", "one", n)
	}
}

// TestRecording checks the picture in docs that scripts/record made.
func TestRecording(t *testing.T) {
	picture, err := os.ReadFile("../../../docs/drill.svg")
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, picture)
	for _, want := range []string{"bake drill", "haproxy-kill", "node-crash", "prefers-reduced-motion"} {
		if !strings.Contains(string(picture), want) {
			t.Errorf("docs/drill.svg has no %q", want)
		}
	}
	if len(picture) > 400<<10 {
		t.Errorf("docs/drill.svg has %d bytes", len(picture))
	}
}

func wellFormed(t *testing.T, picture []byte) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(string(picture)))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
