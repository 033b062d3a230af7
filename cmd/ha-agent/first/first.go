// Package first answers `ha-agent check` before the packages that the daemon needs are initialised: keepalived runs it once
// a second. Go initialises packages whose dependencies are ready in the order of their paths, and this one needs little.
package first

import (
	"os"
	"time"

	"github.com/hapair/hapair/internal/health"
	"github.com/hapair/hapair/internal/wellknown"
)

// CheckTime bounds the check: keepalived gives it a second.
const CheckTime = 500 * time.Millisecond

// The one init of the project. It takes what keepalived runs, word for word; all else goes the usual way.
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
