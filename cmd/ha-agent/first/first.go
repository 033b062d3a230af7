// Package first runs `ha-agent check` before the packages that the daemon needs are initialised, because keepalived runs the
// check once a second. Go initialises packages whose dependencies are ready in the order of their paths, and this package
// needs few others.
package first

import (
	"os"
	"time"

	"github.com/hapair/hapair/internal/health"
	"github.com/hapair/hapair/internal/wellknown"
)

// CheckTime is the time limit of the check. keepalived allows one second.
const CheckTime = 500 * time.Millisecond

// This is the only init function of the project. It handles exactly the command line that keepalived runs; main handles all
// others.
func init() {
	if len(os.Args) != 2 || os.Args[1] != "check" {
		return
	}
	if err := health.Check(wellknown.CheckSocket, wellknown.Mark, CheckTime); err != nil {
		os.Stderr.WriteString("ha-agent: " + err.Error() + "\n")
		os.Exit(1)
	}
	os.Exit(0)
}
