package keepalived

import (
	"bytes"
	"context"

	"github.com/hapair/hapair/internal/redact"
	"github.com/hapair/hapair/internal/validator"
)

// TestID is a config-id that no node has: lines that begin with "@hapair-test" hold for a test only, those with
// "@^hapair-test" always else (keepalived.conf(5), "Conditional configuration and configuration id").
//
// keepalived 2.2.5 to 2.2.7 end a test by SIGTERM where scripts run as another user than its own; under this id the file
// that keepalivedconf writes for them names no other.
const TestID = "hapair-test"

// Test asks keepalived whether a configuration file is good. It can only be so where its interfaces are: on the node
// itself. ctx bounds it. A file that is empty or missing, of which keepalived says that it is good, is bad: to load it
// drops every virtual IP. The messages hold no word of the file that may be a secret: see package redact.
func Test(ctx context.Context, run validator.Runner, path string) validator.Answer {
	data, a := validator.ReadConfig(path)
	if a.Verdict != validator.Good {
		return a
	}
	a = validator.Ask(ctx, run, "keepalived", "-t", "-f", path)
	if a.Verdict == validator.None && ctx.Err() == nil && bytes.Contains(data, []byte("\n    @"+TestID+" ")) {
		a = validator.Ask(ctx, run, "keepalived", "-t", "-i", TestID, "-f", path)
	}
	a.Messages = redact.NewConfig(data).Messages(a.Messages)
	return a
}
