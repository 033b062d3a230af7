package control

import (
	"io/fs"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
)

// MaintenanceRequest asks the node to give its virtual IPs away and hold none, or to end that.
type MaintenanceRequest struct {
	On    bool          `json:"on"`
	For   time.Duration `json:"for,omitempty"`   // nanoseconds; 0: without an end
	Force bool          `json:"force,omitempty"` // even if no peer takes the virtual IPs
}

// Maintenance is the result of a MaintenanceRequest.
type Maintenance struct {
	On      bool      `json:"on"`
	Until   time.Time `json:"until,omitzero"`
	Refused string    `json:"refused,omitempty"` // the reason why the virtual IPs stay here
	Note    string    `json:"note,omitempty"`    // a message for the operator
}

// ApplyRequest is a set of files to install as one change.
type ApplyRequest struct {
	Files []ApplyFile `json:"files"`
	// AllowNoServers keeps the change even if it leaves a backend without servers.
	AllowNoServers bool `json:"allow_no_servers,omitempty"`
}

// ApplyFile is one of them. If it replaces a file, it gets that file's owner and mode.
type ApplyFile struct {
	Path string      `json:"path"`
	Mode fs.FileMode `json:"mode"` // if it replaces no file
	Data []byte      `json:"data"`
}

// Applied is the result of an ApplyRequest.
type Applied struct {
	Unchanged bool            `json:"unchanged,omitempty"` // the services already run on these files
	Refused   string          `json:"refused,omitempty"`   // the reason why nothing was tested
	Change    *journal.Change `json:"change,omitempty"`
}
