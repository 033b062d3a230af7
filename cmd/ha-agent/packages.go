package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/upgrade"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/wellknown"
)

func cmdPackages(ctx context.Context, e *env, args []string) error {
	name, install := "packages", false
	if len(args) > 0 && args[0] == "upgrade" {
		name, install, args = "packages upgrade", true, args[1:]
	}
	fs := e.flags(name)
	asJSON := fs.Bool("json", false, "print the result as JSON")
	all := new(bool)
	if install {
		all = fs.Bool("all", false, "install all updates, not only security updates")
	}
	if err := e.parse(fs, args, 0); err != nil {
		return err
	}
	m := &upgrade.Machine{Run: validator.Run, Step: func(step string) { fmt.Fprintf(e.stderr, "ha-agent: %s\n", step) },
		Ask: func(ctx context.Context, req control.Request, result any) error {
			return control.Ask(ctx, wellknown.AgentSocket, req, result)
		}}
	var done upgrade.Done
	var err error
	if install {
		done, err = m.Upgrade(ctx, *all)
	} else {
		done.Upgrades, err = m.List(ctx)
	}
	if err != nil {
		return err
	}
	return e.printPackages(done, install, *asJSON)
}

func (e *env) printPackages(done upgrade.Done, installed, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(e.stdout).Encode(done); err != nil {
			return fmt.Errorf("cannot print the result: %w", err)
		}
		if done.Refused != "" {
			return exitstatus.With(exitstatus.No, nil)
		}
		return nil
	}
	for _, u := range done.Upgrades {
		kind := "update"
		if u.Security {
			kind = "security update"
		}
		fmt.Fprintf(e.stdout, "%s: %s -> %s (%s)\n", u.Package, u.From, u.To, kind)
	}
	switch {
	case done.Refused != "":
		return exitstatus.With(exitstatus.No, errors.New(done.Refused))
	case len(done.Upgrades) == 0:
		fmt.Fprintln(e.stdout, "nothing to upgrade")
	case installed:
		fmt.Fprintln(e.stdout, "upgraded; the node is healthy, and available")
	}
	return nil
}
