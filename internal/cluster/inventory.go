package cluster

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/hapair/hapair/internal/agent/inventory"
	"github.com/hapair/hapair/internal/nodediff"
	"github.com/hapair/hapair/internal/remote"
	"github.com/hapair/hapair/internal/spec"
)

// State asks all nodes of a spec for what they are, as far as it concerns the state that they should have. Nodes that give no
// answer have an error. It calls waitFor with the nodes that have not answered yet, never concurrently.
func State(ctx context.Context, l *remote.Login, s *spec.Spec, want *nodediff.State, waitFor func(string)) *nodediff.State {
	nodes := make([]nodediff.Node, len(s.Nodes))
	Each(s, waitFor, func(i int, h remote.Host) {
		var inv inventory.Inventory
		req, err := json.Marshal(want.Nodes[i].Request())
		if err == nil {
			err = l.Run(ctx, h, bytes.NewReader(req), &inv, "inventory")
		}
		if err != nil {
			nodes[i] = nodediff.Node{Name: h.Name, Err: err}
			return
		}
		nodes[i] = nodediff.FromInventory(h.Name, &inv)
	})
	return &nodediff.State{Nodes: nodes}
}
