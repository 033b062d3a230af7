package first_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The early check must print the same and exit with the same status as the normal check command.
func TestFirstAgreesWithCheck(t *testing.T) {
	bin := build(t)
	early, earlyErr := exec.Command(bin, "check").CombinedOutput()
	usual, usualErr := exec.Command(bin, "check", "--timeout", "500ms").CombinedOutput()
	if string(early) != string(usual) || (earlyErr == nil) != (usualErr == nil) {
		t.Errorf("early: %q, %v; usual: %q, %v", early, earlyErr, usual, usualErr)
	}
	if earlyErr != nil && !strings.HasPrefix(string(early), "ha-agent: ") {
		t.Errorf("the output is %q", early)
	}
	// The initialisation of packages before the check costs time. The purpose of this package is that the daemon's packages
	// are not among them.
	cmd := exec.Command(bin, "check")
	cmd.Env = append(cmd.Environ(), "GODEBUG=inittrace=1")
	trace, _ := cmd.CombinedOutput() // one line per package, such as "init net @1.2 ms, …"
	for _, heavy := range []string{"net", "net/http", "encoding/json", "text/template", "regexp", "github.com/hapair/hapair/internal/strictyaml", "gopkg.in/yaml%2ev3"} {
		if strings.Contains(string(trace), "init "+heavy+" ") {
			t.Errorf("%s is initialised before the check", heavy)
		}
	}
}
