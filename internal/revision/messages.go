package revision

import "time"

// Operations of a Request.
const (
	OpShow    = "show"    // what the node runs
	OpAgent   = "agent"   // keep a program of the agent, and go on with it
	OpPackage = "package" // keep the Debian package of the agent's program
	OpCompare = "compare" // compare the node with a content
	OpStage   = "stage"   // keep a revision and test it; nothing is applied
	OpTry     = "try"     // apply the staged revision on trial
	OpRenew   = "renew"   // put the trial's deadline off
	OpCommit  = "commit"  // confirm the trial
	OpUndo    = "undo"    // end the trial, and go back
	OpSettle  = "settle"  // end a trial that its rollout has left, as another node has
)

// Request is one line of JSON from bake to `ha-agent revision serve`. Each is answered by one Response.
type Request struct {
	Op      string        `json:"op"`
	ID      string        `json:"id,omitempty"`     // of the revision: try, renew, commit, undo, settle
	Header  *Header       `json:"header,omitempty"` // stage
	Node    string        `json:"node,omitempty"`   // stage: the node's name in the header
	Content *Content      `json:"content,omitempty"`
	Reuse   string        `json:"reuse,omitempty"`   // stage: the digest of a content that the node has kept, in place of Content
	Program []byte        `json:"program,omitempty"` // agent
	Package []byte        `json:"package,omitempty"` // package
	Digest  string        `json:"digest,omitempty"`  // package: of the program in it
	Seconds int           `json:"seconds,omitempty"` // stage, try, renew: how long the trial may go on without a renewal
	Outcome Outcome       `json:"outcome,omitempty"` // settle
	Within  time.Duration `json:"within,omitempty"`  // try: how long the node may take to become healthy
	// try: the revision stays even if it leaves a backend without servers.
	AllowNoServers bool `json:"allow_no_servers,omitempty"`
	Last           bool `json:"last,omitempty"` // try: all other nodes have it on trial
}

// Response is the answer to a Request.
type Response struct {
	Error   string      `json:"error,omitempty"`
	Refused string      `json:"refused,omitempty"` // why the answer is no
	Show    *Show       `json:"show,omitempty"`
	Compare *Comparison `json:"compare,omitempty"`
	Trial   *TrialState `json:"trial,omitempty"`
}

// Show is what a node runs.
type Show struct {
	Format   int         `json:"format"`
	Cluster  string      `json:"cluster"`
	Node     string      `json:"node"`
	Current  Ref         `json:"current"`
	Content  string      `json:"content,omitempty"` // the digest of the current content; empty for revision 0
	Since    time.Time   `json:"since,omitzero"`
	By       string      `json:"by,omitempty"`
	Previous *Kept       `json:"previous,omitempty"` // nil: there are no last known good files
	Trial    *TrialState `json:"trial,omitempty"`
	Drift    []string    `json:"drift,omitempty"` // files that differ from the current revision
	Agent    string      `json:"agent"`           // the digest of /usr/bin/ha-agent
	// Recorded is the MD5 of /usr/bin/ha-agent that dpkg has recorded; empty: it is from no package.
	Recorded string   `json:"recorded,omitempty"`
	Holds    []string `json:"holds,omitempty"` // names of the VIPs that it holds
	Problems []string `json:"problems,omitempty"`
}

// Kept is a revision that a node can go back to.
type Kept struct {
	Ref
	Content string `json:"content"` // the digest
}

// Comparison is how a node differs from a content.
type Comparison struct {
	Changed  []string `json:"changed,omitempty"` // files with other bytes, owner or mode
	New      []string `json:"new,omitempty"`
	Removed  []string `json:"removed,omitempty"`
	Packages []string `json:"packages,omitempty"` // that are missing
	Units    []string `json:"units,omitempty"`    // whose state is another one
	Agent    bool     `json:"agent,omitempty"`    // the agent's program is another one
	Drift    []string `json:"drift,omitempty"`    // edited by hand since the current revision: they would be overwritten
	Effects  []string `json:"effects,omitempty"`  // in words
	// Moves reports whether the node must give its VIPs away for a restart.
	Moves bool `json:"moves,omitempty"`
	// FirstBoot reports whether host name, logins or network are others. A rollout does not change them.
	FirstBoot bool `json:"first_boot,omitempty"`
}

// Same reports whether a rollout would change nothing.
func (c Comparison) Same() bool {
	return len(c.Changed)+len(c.New)+len(c.Removed)+len(c.Packages)+len(c.Units) == 0 && !c.Agent
}

// Phase is how far a node's trial is.
type Phase string

// Phases of a trial.
const (
	Staged    Phase = "staged"    // kept and tested; nothing is applied
	Applying  Phase = "applying"  // being applied
	OnTrial   Phase = "on trial"  // applied and proven; not confirmed
	Committed Phase = "committed" // confirmed
	Undoing   Phase = "undoing"   // on the way back
	Undone    Phase = "undone"    // back on what the node ran before
	Stuck     Phase = "stuck"     // the way back has failed, and is tried again
)

// Outcome is how a trial ended.
type Outcome string

// Outcomes of a trial.
const (
	WasCommitted Outcome = "committed"
	WasUndone    Outcome = "undone"
)

// TrialState is a trial as others see it.
type TrialState struct {
	Ref
	Phase Phase `json:"phase"`
	Open  bool  `json:"open"` // it can still be committed by the rollout
	// Away: it stays in maintenance until the other nodes are on trial, too, because they would not hear each other before.
	Away   bool      `json:"away,omitempty"`
	Step   string    `json:"step,omitempty"`
	Reason string    `json:"reason,omitempty"` // why it goes back
	Waits  string    `json:"waits,omitempty"`  // what keeps a trial without its rollout from an end
	Since  time.Time `json:"since"`
}
