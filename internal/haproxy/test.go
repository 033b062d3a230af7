package haproxy

import (
	"context"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/redact"
	"github.com/hapair/hapair/internal/validator"
)

// Test runs haproxy -c on configuration files, as the packaged unit does before a reload. It binds no addresses, but reads the
// files that the configuration names: certificates, lists, error files. ctx limits its time.
//
// Words of the file that may be secrets are hidden in the messages: see package redact.
//
// A good file is no proof that haproxy can start: an address may be missing on this machine, or a port may be in use.
func Test(ctx context.Context, run validator.Runner, files ...string) validator.Answer {
	args := []string{"-Ws", "-c"}
	var all []byte
	for _, file := range files {
		data, a := validator.ReadConfig(file)
		if a.Verdict != validator.Good {
			return a
		}
		all = append(append(all, data...), '\n')
		args = append(args, "-f", file)
	}
	a := validator.Ask(ctx, run, "haproxy", args...)
	a.Messages = slices.DeleteFunc(a.Messages, func(line string) bool { return !worthShowing(line, a.Verdict) })
	a.Messages = redact.NewConfig(all).Messages(a.Messages)
	return a
}

// worthShowing reports whether a line is worth showing: of a good file the warnings, of a bad file the reasons.
func worthShowing(line string, v validator.Verdict) bool {
	switch v {
	case validator.Good:
		return strings.HasPrefix(line, "[WARNING]")
	case validator.Bad:
		return strings.HasPrefix(line, "[ALERT]")
	}
	return true
}
