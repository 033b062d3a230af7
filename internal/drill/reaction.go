package drill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/wellknown"
)

// The ways in which a node finds out that it must give its VIPs away.
const (
	byTrackFile   = "track file"
	byTrackScript = "track_script"
)

// trackLag is how much later than the loss of an address its cause may be dated: a file system's clock is a coarse one.
const trackLag = 100 * time.Millisecond

// trackWatch follows the track file of a node that stays on: when it first asked for FAULT.
type trackWatch struct {
	watcher *fsnotify.Watcher
	done    chan struct{}
	fault   time.Time // to be read when done is closed
}

// watchTrack begins to follow the track file of a host.
func watchTrack(h *lab.Host) (*trackWatch, error) {
	leader, err := h.Leader()
	if err != nil {
		return nil, err
	}
	file := fmt.Sprintf("/proc/%d/root%s", leader, wellknown.TrackFile)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("cannot watch the track file of %s: %w", h.Name, err)
	}
	// The directory: the file may be replaced.
	if err := w.Add(filepath.Dir(file)); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("cannot watch the track file of %s: %w", h.Name, err)
	}
	t := &trackWatch{watcher: w, done: make(chan struct{})}
	go t.run(file)
	return t, nil
}

func (t *trackWatch) run(file string) {
	defer close(t.done)
	for {
		select {
		case event, ok := <-t.watcher.Events:
			if !ok {
				return
			}
			if filepath.Base(event.Name) == filepath.Base(file) && t.fault.IsZero() {
				t.fault = faultSince(file)
			}
		case _, ok := <-t.watcher.Errors: // what was lost is made up for by keepalived's log
			if !ok {
				return
			}
		}
	}
}

// faultSince returns when a track file that asks for FAULT was written: this process may have been too busy to see that at
// once. It is zero if the file does not ask for FAULT now.
func faultSince(file string) time.Time {
	text, err := os.ReadFile(file)
	if value := strings.TrimSpace(string(text)); err != nil || value == "" || value == "0" {
		return time.Time{}
	}
	info, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// stop returns when the file first asked for FAULT; zero if it did not.
func (t *trackWatch) stop() time.Time {
	if t == nil {
		return time.Time{}
	}
	_ = t.watcher.Close()
	<-t.done
	return t.fault
}

// scriptFailed matches what keepalived logs when a track_script has failed as often as `fall` wants: "failed" or
// "timed_out" with a reason (2.2.4 to 2.3.3).
var scriptFailed = regexp.MustCompile(`VRRP_Script\([^)]*\) (failed|timed.out)`)

var enteringFault = regexp.MustCompile(`Entering FAULT STATE`)

// loggedCause returns what made an instance enter FAULT according to keepalived's log: a track_script that had failed before,
// or the track file, whose changes are not logged. It is empty if no instance has entered FAULT.
func loggedCause(lines []string) string {
	for _, line := range lines {
		switch {
		case scriptFailed.MatchString(line):
			return byTrackScript
		case enteringFault.MatchString(line):
			return byTrackFile
		}
	}
	return ""
}

// reaction is how the struck node came to give its VIPs away.
type reaction struct {
	fault  time.Time // when its track file first asked for that
	lost   time.Time // when it lost the first VIP
	logged string    // the cause according to keepalived's log
}

// way is by which of the two the node reacted, and what is wrong with that.
func (r reaction) way(node string, strike time.Time) (way, problem string) {
	switch {
	case r.lost.IsZero() && r.fault.IsZero():
		return "", node + " kept its VIPs: neither its track file nor its track_script took them away"
	case r.lost.IsZero():
		return byTrackFile, node + " kept its VIPs although its track file asked for FAULT"
	case r.logged == byTrackScript:
		return byTrackScript, fmt.Sprintf("%s gave its VIPs away %s after the fault because its track_script failed; the track file should have done that sooner: is ha-agent running?",
			node, show(millis(r.lost.Sub(strike))))
	case r.logged == "" && (r.fault.IsZero() || r.fault.Sub(r.lost) > trackLag):
		return "", fmt.Sprintf("%s lost its VIPs %s after the fault, and not because of its track file: is ha-agent running?", node, show(millis(r.lost.Sub(strike))))
	}
	return byTrackFile, ""
}

// react finds how the struck node reacted to a fault to which its track file must react.
func (c *Cluster) react(ctx context.Context, run *Run, h *lab.Host, strike, fault time.Time) {
	r := reaction{fault: fault, logged: loggedCause(logged(ctx, h, wellknown.KeepalivedUnit, strike))}
	for _, t := range c.targets {
		for _, s := range t.holders.Spans() {
			if s.Host == h.Name && s.To.After(strike) && (r.lost.IsZero() || s.To.Before(r.lost)) {
				r.lost = s.To
			}
		}
	}
	if !r.fault.IsZero() {
		run.TrackFile = max(0.1, millis(r.fault.Sub(strike))) // the clock of a file system is a coarse one
	}
	var problem string
	if run.By, problem = r.way(h.Name, strike); problem != "" {
		run.Problems = append(run.Problems, problem)
	}
}
