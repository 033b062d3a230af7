package agent

import (
	"errors"
	"log/slog"

	"github.com/hapair/hapair/internal/agent/change"
)

// reporter logs the reason why the loop has no verdict: once, and again if it changes.
type reporter struct {
	log  *slog.Logger
	open bool   // there is a reason
	last string // the logged reason
}

// round records the result of a round.
func (r *reporter) round(err error) {
	if err == nil {
		r.open, r.last = false, ""
		return
	}
	r.problem(err)
}

// problem records a problem that lasts until a round succeeds.
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
