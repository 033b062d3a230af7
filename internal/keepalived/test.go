package keepalived

import (
	"bytes"
	"context"

	"github.com/hapair/hapair/internal/redact"
	"github.com/hapair/hapair/internal/validator"
)

// TestID is a config-id that no node has. keepalived uses lines that begin with "@hapair-test" only with this ID, and lines
// that begin with "@^hapair-test" only without it (keepalived.conf(5), "Conditional configuration and configuration id").
//
// A test by keepalived 2.2.5 to 2.2.7 ends with SIGTERM if scripts run as another user than keepalived. With this ID, the file
// that keepalivedconf writes for these versions names no other user.
const TestID = "hapair-test"

// Test runs keepalived -t on a configuration file. ctx limits its time. The result is only valid on a machine with the file's
// interfaces: the node itself. An empty or missing file is bad, although keepalived accepts it, because loading it removes all
// virtual IPs. Words of the file that may be secrets are hidden in the messages: see package redact.
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
