package validator

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	r, err := Run(t.Context(), "sh", "-c", "echo out; echo err >&2; exit 5")
	if err != nil || r.Status != 5 || r.TimedOut {
		t.Fatalf("Run = %+v, %v; want status 5", r, err)
	}
	if lines := strings.Join(r.Lines(), " "); lines != "out err" {
		t.Errorf("the lines are %q", lines)
	}
	if r, err = Run(t.Context(), "sh", "-c", "kill -TERM $$"); err != nil || r.Status != 143 {
		t.Errorf("a program that ended by SIGTERM: %+v, %v", r, err)
	}
	if _, err = Run(t.Context(), "no-such-program"); err == nil || !strings.Contains(err.Error(), "cannot run no-such-program") {
		t.Errorf("no such program: %v", err)
	}
}

// TestRunIsBounded starts a child that outlives its parent and keeps the output open.
func TestRunIsBounded(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	r, err := Run(ctx, "sh", "-c", "sleep 60 & sleep 60")
	if err != nil || !r.TimedOut {
		t.Errorf("Run of a program that does not end = %+v, %v; want a timeout", r, err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("Run took %v", took)
	}
	r, err = Run(t.Context(), "sh", "-c", "yes | head -c 1000000")
	if err != nil || len(r.Output) != maxOutput {
		t.Errorf("%d bytes of output were kept, %v", len(r.Output), err)
	}
}

func TestAsk(t *testing.T) {
	for _, c := range []struct {
		script string
		want   Verdict
	}{
		{"echo fine", Good}, {"echo wrong; exit 1", Bad}, {"exit 5", Bad}, {"kill -TERM $$", None}, {"kill -SEGV $$", None},
	} {
		if a := Ask(t.Context(), Run, "sh", "-c", c.script); a.Verdict != c.want {
			t.Errorf("%s: verdict %v (%s), want %v", c.script, a.Verdict, a.Reason(), c.want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if a := Ask(ctx, Run, "sleep", "60"); a.Verdict != None || !strings.Contains(a.Reason(), "did not end in time") {
		t.Errorf("verdict after a timeout: %v (%s)", a.Verdict, a.Reason())
	}
	if a := Ask(t.Context(), Run, "no-such-program"); a.Verdict != None {
		t.Errorf("verdict without the program: %v", a.Verdict)
	}
}

func TestReadConfig(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"good": "x\n", "empty": "", "blank": " \n\t\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]Verdict{"good": Good, "empty": Bad, "blank": Bad, "missing": Bad, ".": Bad} {
		if _, a := ReadConfig(filepath.Join(dir, name)); a.Verdict != want {
			t.Errorf("%s: %v (%s), want %v", name, a.Verdict, a.Reason(), want)
		}
	}
}
