package main

import (
	"context"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/wellknown"
)

// drift asks the daemon for problems with the files that the services run.
func drift(ctx context.Context) ([]string, error) {
	var s control.Status
	if err := control.Ask(ctx, wellknown.AgentSocket, control.Request{Command: "status"}, &s); err != nil {
		return nil, err
	}
	return s.FileProblems(), nil
}

// states asks the daemon for the VRRP states.
func states(ctx context.Context) (map[string]string, error) {
	var s control.Status
	if err := control.Ask(ctx, wellknown.AgentSocket, control.Request{Command: "status"}, &s); err != nil {
		return nil, err
	}
	m := map[string]string{}
	for _, i := range s.Instances {
		if i.State != control.Unknown {
			m[i.Name] = i.State
		}
	}
	return m, nil
}
