package first_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The early answer must be the usual one: same words, same exit status.
func TestFirstSaysWhatCheckSays(t *testing.T) {
	bin := build(t)
	early, earlyErr := exec.Command(bin, "check").CombinedOutput()
	usual, usualErr := exec.Command(bin, "check", "--timeout", "500ms").CombinedOutput()
	if string(early) != string(usual) || (earlyErr == nil) != (usualErr == nil) {
		t.Errorf("early: %q, %v; usual: %q, %v", early, earlyErr, usual, usualErr)
	}
	if earlyErr != nil && !strings.HasPrefix(string(early), "ha-agent: ") {
		t.Errorf("it says %q", early)
	}
	// what is initialised before it costs time; that the daemon's own packages are not is what it is for
	cmd := exec.Command(bin, "check")
	cmd.Env = append(cmd.Environ(), "GODEBUG=inittrace=1")
	trace, _ := cmd.CombinedOutput() // a line like "init net @1.2 ms, …" each
	for _, heavy := range []string{"net", "net/http", "encoding/json", "text/template", "regexp", "github.com/hapair/hapair/internal/strictyaml", "gopkg.in/yaml%2ev3"} {
		if strings.Contains(string(trace), "init "+heavy+" ") {
			t.Errorf("%s is initialised before the check", heavy)
		}
	}
}
