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

// The ways in which a node learns that it must give up its VIPs.
const (
	byTrackFile   = "track file"
	byTrackScript = "track_script"
)

// trackLag is the tolerance for the time of a cause, which may be recorded after the loss of an address: a file system's
// clock is coarse.
const trackLag = 100 * time.Millisecond

// trackWatch records when the track file of a node first asked for FAULT. The node must stay on.
type trackWatch struct {
	watcher *fsnotify.Watcher
	done    chan struct{}
	fault   time.Time // may be read when done is closed
}

// watchTrack starts to watch the track file of a host.
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
	// Watch the directory, because the file may be replaced.
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
		case _, ok := <-t.watcher.Errors: // keepalived's log is used for lost events
			if !ok {
				return
			}
		}
	}
}

// faultSince returns the modification time of a track file that asks for FAULT. This process may have been too busy to see
// the write at once. The time is zero if the file does not ask for FAULT.
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

// stop returns when the file first asked for FAULT, or the zero time if it did not.
func (t *trackWatch) stop() time.Time {
	if t == nil {
		return time.Time{}
	}
	_ = t.watcher.Close()
	<-t.done
	return t.fault
}

// scriptFailed matches keepalived's log line for a track_script that has failed `fall` times: "failed" or "timed_out" with a
// reason (2.2.4 to 2.3.3).
var scriptFailed = regexp.MustCompile(`VRRP_Script\([^)]*\) (failed|timed.out)`)

var enteringFault = regexp.MustCompile(`Entering FAULT STATE`)

// loggedCause returns the cause for which an instance entered FAULT according to keepalived's log: the track_script if it
// had failed before, otherwise the track file, whose changes are not logged. It is empty if no instance entered FAULT.
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

// reaction describes how the struck node gave up its VIPs.
type reaction struct {
	fault  time.Time // when its track file first asked for FAULT
	lost   time.Time // when it lost the first VIP
	logged string    // the cause according to keepalived's log
}

// way returns which of the two caused the reaction, and the problem with it.
func (r reaction) way(node string, strike time.Time) (way, problem string) {
	switch {
	case r.lost.IsZero() && r.fault.IsZero():
		return "", node + " kept its VIPs: neither its track file nor its track_script reported a fault"
	case r.lost.IsZero():
		return byTrackFile, node + " kept its VIPs although its track file asked for FAULT"
	case r.logged == byTrackScript:
		return byTrackScript, fmt.Sprintf("%s gave up its VIPs %s after the fault because its track_script failed, and not earlier because of its track file: is ha-agent running?",
			node, show(millis(r.lost.Sub(strike))))
	case r.logged == "" && (r.fault.IsZero() || r.fault.Sub(r.lost) > trackLag):
		return "", fmt.Sprintf("%s lost its VIPs %s after the fault, but not because of its track file: is ha-agent running?", node, show(millis(r.lost.Sub(strike))))
	}
	return byTrackFile, ""
}

// react determines how the struck node reacted to a fault for which the track file is required.
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
		run.TrackFile = max(0.1, millis(r.fault.Sub(strike))) // the clock of a file system is coarse
	}
	var problem string
	if run.By, problem = r.way(h.Name, strike); problem != "" {
		run.Problems = append(run.Problems, problem)
	}
}
