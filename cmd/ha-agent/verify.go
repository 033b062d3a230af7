package main

import (
	"context"
	"os"
	"time"

	"github.com/hapair/hapair/internal/agent/check"
	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/verify"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/wellknown"
)

func cmdVerify(ctx context.Context, e *env, args []string) error {
	fs := e.flags("verify")
	stage := fs.String("stage", "node", "`STAGE` to verify: node, or image (which is not a node yet, and runs no services)")
	asJSON := fs.Bool("json", false, "print the steps as JSON")
	conf := fs.String("config", wellknown.AgentConfig, "the agent's configuration `FILE`")
	timeout := fs.Duration("timeout", 10*time.Second, "time limit for each step")
	if err := e.parse(fs, args, 0); err != nil {
		return err
	}
	m := &verify.Machine{
		Root: "/", Run: validator.Run, Timeout: *timeout, Addresses: vip.Addresses, Hostname: os.Hostname,
		Mark: wellknown.Mark,
		// The mark is not given, because maintenance is a separate step.
		Check:  func(socket string) error { return check.Check(socket, "", time.Second) },
		States: states, Drift: drift,
	}
	var results verify.Results
	switch *stage {
	case "image":
		results = m.Image(ctx)
	case "node":
		c, err := config.Load(*conf)
		if err != nil {
			return err
		}
		results = m.Node(ctx, c)
	default:
		return usage("verify: unknown --stage %q: must be image or node", *stage)
	}
	if *asJSON {
		if err := results.PrintJSON(e.stdout); err != nil {
			return err
		}
	} else {
		results.Print(e.stdout)
	}
	if !results.OK() {
		return exitstatus.With(exitstatus.No, nil)
	}
	return nil
}
