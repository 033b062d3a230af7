// Package journal defines the records of the journal: one for each change to a node's configuration.
package journal

import "time"

// Change is the record of a change.
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
	Proven     Verdict = "proven"      // the service runs on the new files, which are now the last known good ones
	Refused    Verdict = "refused"     // the new files were not loaded: they stay on the disk, and the service continues unchanged
	RolledBack Verdict = "rolled back" // the new files could not be proven: they were set aside, and the service runs on the last known good ones
	// Interrupted: the agent ended during the change. The files on the disk are the next change.
	Interrupted Verdict = "interrupted"
	Failed      Verdict = "failed" // the new files could not be proven, and no last known good files could be restored
)
