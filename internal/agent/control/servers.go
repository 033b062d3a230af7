package control

import (
	"fmt"
	"time"
)

// Actions of a ServerRequest.
const (
	ServerReady   = "ready"   // as the configuration says; what was kept is forgotten
	ServerDrain   = "drain"   // no new sessions, except those that are sticky to the server
	ServerDisable = "disable" // no requests and no checks
	ServerWeight  = "weight"
)

// ServerRequest takes a server out, brings it back, or changes its weight.
type ServerRequest struct {
	Action  string `json:"action"`
	Backend string `json:"backend"`
	Server  string `json:"server"`
	Weight  int    `json:"weight,omitempty"` // 0 to 256, for ServerWeight
}

// ServerState is what an operator has set, and the agent sets again whenever haproxy is another process.
type ServerState struct {
	Backend string    `json:"backend"`
	Server  string    `json:"server"`
	State   string    `json:"state,omitempty"`  // ServerDrain or ServerDisable; empty: only the weight is set
	Weight  *int      `json:"weight,omitempty"` // nil: as in the configuration
	Since   time.Time `json:"since"`
	Why     string    `json:"why,omitempty"` // why it is not in force
}

// String returns what was set: "drain", "weight 10", or both.
func (s *ServerState) String() string {
	switch {
	case s.Weight == nil:
		return s.State
	case s.State == "":
		return fmt.Sprintf("weight %d", *s.Weight)
	}
	return fmt.Sprintf("%s, weight %d", s.State, *s.Weight)
}

// ServerDone is what became of a ServerRequest.
type ServerDone struct {
	Refused string        `json:"refused,omitempty"` // why nothing was done
	Server  string        `json:"server"`            // web/w1
	Set     string        `json:"set"`               // what holds now: "ready", or that of the ServerState
	Kept    []ServerState `json:"kept"`              // all that are kept
}
