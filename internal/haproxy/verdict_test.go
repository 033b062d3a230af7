package haproxy

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/hapair/hapair/internal/validator"
)

func TestTest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(path, []byte("global\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	answers := func(status int, output string) validator.Runner {
		return func(context.Context, string, ...string) (validator.Result, error) {
			return validator.Result{Status: status, Output: output}, nil
		}
	}
	const said = "[NOTICE] (1) : haproxy version is 2.6.12\n[WARNING] (1) : w\n[ALERT] (1) : a\nConfiguration file is valid\n"
	if a := Test(t.Context(), answers(0, said), path); a.Verdict != validator.Good || a.Reason() != "[WARNING] (1) : w" {
		t.Errorf("verdict on a good file: %v (%s)", a.Verdict, a.Reason())
	}
	if a := Test(t.Context(), answers(1, said), path); a.Verdict != validator.Bad || a.Reason() != "[ALERT] (1) : a" {
		t.Errorf("verdict on a bad file: %v (%s)", a.Verdict, a.Reason())
	}
	if a := Test(t.Context(), answers(139, ""), path); a.Verdict != validator.None {
		t.Errorf("verdict after a crash: %v (%s)", a.Verdict, a.Reason())
	}
	if a := Test(t.Context(), answers(0, ""), path+".missing"); a.Verdict != validator.Bad {
		t.Errorf("verdict on a missing file: %v", a.Verdict)
	}
}
