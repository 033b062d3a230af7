package agent

import (
	"time"

	"github.com/hapair/hapair/internal/agent/reach"
	"github.com/hapair/hapair/internal/neighbor"
)

// How often files and watches are looked at without an event: a directory that came back, a service that runs again.
const (
	rescan = 2 * time.Second // while no verdict can be given: soon after the start, for instance, when services are still starting
	atRest = 5 * time.Second // as often as the watchdog of the daemon's unit must be told
)

// pace is how often the loop wakes up by itself, for all that may be done late.
func (d *Daemon) pace(busy bool) time.Duration {
	every := atRest
	if busy || d.reports.open {
		every = rescan
	}
	if beat := d.Notify.WatchdogInterval(); beat > 0 {
		every = min(every, beat)
	}
	return every
}

// lookForOthers has the link asked about what is due, without waiting for it: other holders, and peers that are not heard.
func (d *Daemon) lookForOthers() {
	for _, look := range []chan struct{}{d.duplicates.Look, d.reach.Look} {
		select {
		case look <- struct{}{}:
		default:
		}
	}
}

// newReach returns the search for the peers, to whose addresses VRRP is sent.
func (d *Daemon) newReach() *reach.Watch {
	w := &reach.Watch{Holding: d.vrrp.Holding, Unresolved: neighbor.Unresolved, Greet: neighbor.Greet, Log: d.Log, Look: make(chan struct{}, 1)}
	for _, p := range d.Conf.Peers {
		w.Peers = append(w.Peers, p.Addresses...)
	}
	for _, v := range d.Conf.VIPs {
		for _, a := range v.Addresses {
			w.VIPs = append(w.VIPs, a.Addr())
		}
	}
	return w
}
