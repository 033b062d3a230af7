package agent

import (
	"cmp"
	"time"
)

// How often files and watches are looked at without an event: a directory that came back, a service that runs again.
const (
	rescan   = 2 * time.Second // soon after the start, when services are still starting, and while no verdict can be given
	starting = time.Minute     // what is soon after the start
	atRest   = 5 * time.Second // where no watchdog tells how often
)

// pace is how often the loop wakes up by itself. Soon after the start services are still starting, and what kept it from a
// verdict may have gone; else whatever may be done late is done when the watchdog must be told.
func (d *Daemon) pace() time.Duration {
	beat := cmp.Or(d.Notify.WatchdogInterval(), atRest)
	if d.told == "" && d.Now().Sub(d.started) > starting {
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
