package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/inventory"
	"github.com/hapair/hapair/internal/wellknown"
)

// maxRequest is the size limit, in bytes, of a request on standard input.
const maxRequest = 1 << 20

func cmdInventory(_ context.Context, e *env, args []string) error {
	if err := e.parse(e.flags("inventory"), args, 0); err != nil {
		return err
	}
	var req inventory.Request
	if err := json.NewDecoder(io.LimitReader(e.stdin, maxRequest)).Decode(&req); err != nil {
		return usage("cannot read the request from standard input: %v", err)
	}
	// Files of an older spec, which the new one may not have.
	if conf, err := config.Load(wellknown.AgentConfig); err == nil {
		req.Paths = append(req.Paths, conf.HAProxy.Files...)
	}
	inv, err := inventory.List("/", req)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(e.stdout).Encode(inv); err != nil {
		return fmt.Errorf("cannot print the inventory: %w", err)
	}
	return nil
}
