package main

import (
	"context"
	"time"

	"github.com/hapair/hapair/cmd/ha-agent/first"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/health"
	"github.com/hapair/hapair/internal/wellknown"
)

func cmdCheck(_ context.Context, e *env, args []string) error {
	fs := e.flags("check")
	socket := fs.String("socket", wellknown.CheckSocket, "`PATH` of the haproxy socket to query")
	timeout := fs.Duration("timeout", first.CheckTime, "time limit for the whole check")
	if err := e.parse(fs, args, 0); err != nil {
		return err
	}
	if *timeout < time.Millisecond {
		return usage("check: --timeout %v is too short: must be at least 1ms", *timeout)
	}
	if err := health.Check(*socket, wellknown.Mark, *timeout); err != nil {
		return exitstatus.With(exitstatus.No, err)
	}
	return nil
}
