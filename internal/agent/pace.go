package agent

import "time"

// How often files and watches are looked at without an event: a directory that came back, a service that runs again.
const (
	rescan = 2 * time.Second // while no verdict can be given: soon after the start, for instance, when services are still starting
	atRest = 5 * time.Second // as often as the watchdog of the daemon's unit must be told
)

// pace is how often the loop wakes up by itself, for all that may be done late.
func (d *Daemon) pace(busy bool) time.Duration {
	every := atRest
	if busy || d.told != "" {
		every = rescan
	}
	if beat := d.Notify.WatchdogInterval(); beat > 0 {
		every = min(every, beat)
	}
	return every
}

// lookForRivals has the link asked about what is due, without waiting for it.
func (d *Daemon) lookForRivals() {
	select {
	case d.rivals.Look <- struct{}{}:
	default:
	}
}
