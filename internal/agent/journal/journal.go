// Package journal has what is written down of each change to a node's configuration.
package journal

import "time"

// Change is what became of new bytes.
type Change struct {
	Number  int       `json:"number"`
	Time    time.Time `json:"time"`
	Targets []string  `json:"targets"`
	Verdict Verdict   `json:"verdict"`
	Reason  string    `json:"reason,omitempty"`
	Took    string    `json:"took"` // from the first event to the verdict
}

// Verdict is how a change ended.
type Verdict string

const (
	Proven     Verdict = "proven"      // it runs, and it is the last known good one
	Refused    Verdict = "refused"     // it was not tried: the files stay, the service runs on
	RolledBack Verdict = "rolled back" // it did not prove: it was set aside, the last known good one runs
	// Interrupted: the agent ended in the middle of it. What lies there now is the next change.
	Interrupted Verdict = "interrupted"
	Failed      Verdict = "failed" // it did not prove, and there was nothing to go back to, or going back failed
)
