package agent

import (
	"errors"
	"log/slog"

	"github.com/hapair/hapair/internal/agent/change"
)

// reporter logs what keeps the loop from a verdict, once, and again when it is something else.
type reporter struct {
	log  *slog.Logger
	open bool   // something keeps it from one
	last string // what was logged of it
}

// round notes how a round ended.
func (r *reporter) round(err error) {
	if err == nil {
		r.open, r.last = false, ""
		return
	}
	r.problem(err)
}

// problem notes what is wrong until the next round ends well.
func (r *reporter) problem(err error) {
	if r.open && r.last == err.Error() {
		return
	}
	r.open, r.last = true, err.Error()
	if errors.Is(err, change.ErrNoVerdict) {
		r.log.Info(r.last)
		return
	}
	r.log.Error(r.last)
}
