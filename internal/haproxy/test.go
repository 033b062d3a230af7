package haproxy

import (
	"context"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/redact"
	"github.com/hapair/hapair/internal/validator"
)

// Test asks haproxy whether its configuration files are good, as the packaged unit does before a reload. It binds nothing,
// but reads what the files name: certificates, lists, errorfiles. ctx bounds it.
//
// The messages hold no word of the file that may be a secret: see package redact.
//
// Good is not yet proof that haproxy can start on it: an address may not be there to bind, a port may be taken.
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
	a.Messages = slices.DeleteFunc(a.Messages, func(line string) bool { return !telling(line, a.Verdict) })
	a.Messages = redact.NewConfig(all).Messages(a.Messages)
	return a
}

// telling leaves out the banner, and of a bad file all but the reasons.
func telling(line string, v validator.Verdict) bool {
	switch v {
	case validator.Good:
		return strings.HasPrefix(line, "[WARNING]")
	case validator.Bad:
		return strings.HasPrefix(line, "[ALERT]")
	}
	return true
}
