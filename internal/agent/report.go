package agent

import (
	"errors"

	"github.com/hapair/hapair/internal/agent/change"
)

// report tells what became of a round. What keeps it from a verdict is told once, and again when it is something else.
func (d *Daemon) report(err error) {
	if err == nil {
		d.told = ""
		return
	}
	d.reportOnce(err)
}

func (d *Daemon) reportOnce(err error) {
	if d.told == err.Error() {
		return
	}
	d.told = err.Error()
	if errors.Is(err, change.ErrNoVerdict) {
		d.Log.Info(err.Error())
		return
	}
	d.Log.Error(err.Error())
}
