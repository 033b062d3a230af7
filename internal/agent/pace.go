package agent

import (
	"cmp"
	"time"
)

// How often files and watches are looked at without an event: a directory that came back, a service that runs again.
const (
	rescan = 2 * time.Second // while no verdict can be given: soon after the start, for instance, when services are still starting
	atRest = 5 * time.Second // where no watchdog tells how often
)

// pace is how often the loop wakes up by itself. Where it neither does nor waits for anything, all that may be done late is
// done when the watchdog must be told.
func (d *Daemon) pace(busy bool) time.Duration {
	beat := cmp.Or(d.Notify.WatchdogInterval(), atRest)
	if d.told == "" && !busy {
		return beat
	}
	return min(rescan, beat)
}

// lookForRivals has the link asked about what is due, without waiting for it.
func (d *Daemon) lookForRivals() {
	select {
	case d.rivals.Look <- struct{}{}:
	default:
	}
}
