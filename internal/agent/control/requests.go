package control

import (
	"io/fs"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
)

// MaintenanceRequest has this node give its virtual IPs away and stay away, or come back.
type MaintenanceRequest struct {
	On    bool          `json:"on"`
	For   time.Duration `json:"for,omitempty"`   // nanoseconds; 0: until it is ended
	Force bool          `json:"force,omitempty"` // even if nobody takes the virtual IPs
}

// Maintenance is what became of a MaintenanceRequest.
type Maintenance struct {
	On      bool      `json:"on"`
	Until   time.Time `json:"until,omitzero"`
	Refused string    `json:"refused,omitempty"` // why the virtual IPs stay here
	Note    string    `json:"note,omitempty"`    // what the operator should know besides
}

// ApplyRequest is a set of files to be taken over as one change.
type ApplyRequest struct {
	Files []ApplyFile `json:"files"`
}

// ApplyFile is one of them. Its owner and mode are those of the file that it replaces.
type ApplyFile struct {
	Path string      `json:"path"`
	Mode fs.FileMode `json:"mode"` // where there is none to replace
	Data []byte      `json:"data"`
}

// Applied is what became of an ApplyRequest.
type Applied struct {
	Unchanged bool            `json:"unchanged,omitempty"` // the services run on these files already
	Refused   string          `json:"refused,omitempty"`   // nothing was judged, and why
	Change    *journal.Change `json:"change,omitempty"`
}
