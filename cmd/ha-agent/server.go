package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/wellknown"
)

// serverTime is the time limit for the daemon.
const serverTime = 15 * time.Second

func cmdServer(ctx context.Context, e *env, args []string) error {
	actions := []string{control.ServerReady, control.ServerDrain, control.ServerDisable, control.ServerWeight}
	if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		args = append([]string{control.ServerReady}, args...)
	}
	if len(args) == 0 || !slices.Contains(actions, args[0]) {
		return usage("server: the first argument must be %s", strings.Join(actions, ", "))
	}
	req := control.ServerRequest{Action: args[0]}
	fs := e.flags("server " + req.Action)
	asJSON := fs.Bool("json", false, "print the result as JSON")
	if req.Action == control.ServerWeight {
		if len(args) < 3 {
			return usage("server weight: arguments are missing: BACKEND/SERVER WEIGHT")
		}
		weight, err := strconv.Atoi(args[2])
		if err != nil {
			return usage("server weight: %q is not a weight: it must be a number from 0 to 256", args[2])
		}
		req.Weight = weight
		args = slices.Delete(slices.Clone(args), 2, 3)
	}
	if len(args) < 2 {
		return usage("server %s: the argument BACKEND/SERVER is missing", req.Action)
	}
	// Flags may follow the server.
	server, flags := args[1], args[2:]
	if strings.HasPrefix(server, "-") {
		server, flags = "", args[1:]
	}
	if err := e.parse(fs, flags, 0); err != nil {
		return err
	}
	var found bool
	if req.Backend, req.Server, found = strings.Cut(server, "/"); !found {
		return usage("server: %q is not BACKEND/SERVER", server)
	}
	ctx, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	var done control.ServerDone
	if err := control.Ask(ctx, wellknown.AgentSocket, control.Request{Command: "server", Server: &req}, &done); err != nil {
		return err
	}
	return e.printServer(done, *asJSON)
}

func (e *env) printServer(done control.ServerDone, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(e.stdout).Encode(done); err != nil {
			return fmt.Errorf("cannot print the result: %w", err)
		}
		if done.Refused != "" {
			return exitstatus.With(exitstatus.No, nil)
		}
		return nil
	}
	if done.Refused != "" {
		return exitstatus.With(exitstatus.No, errors.New(done.Server+": "+done.Refused))
	}
	fmt.Fprintf(e.stdout, "%s: %s\n", done.Server, done.Set)
	return nil
}

// printServers prints what an operator has set for servers.
func printServers(w io.Writer, all []control.ServerState) {
	if len(all) == 0 {
		return
	}
	t := newTable(w)
	defer t.Flush()
	fmt.Fprintln(t)
	t.row("SERVER", "SET BY AN OPERATOR", "SINCE", "")
	for _, s := range all {
		why := ""
		if s.Why != "" {
			why = "NOT IN FORCE: " + s.Why
		}
		t.row(s.Backend+"/"+s.Server, s.String(), at(s.Since), why)
	}
}
