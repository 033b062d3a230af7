package change

import (
	"time"

	"github.com/hapair/hapair/internal/agent/target"
)

// digest identifies the bytes of all files of a target; the zero digest is that of no files.
type digest string

// state is what is known of one target. The zero state is that of a target of which nothing is known.
type state struct {
	phase phase
	// runs is what the service runs on; none unless it is proven.
	runs digest
	// judged is what had the last verdict: unchanged bytes are no change.
	judged digest
	// waits is what was refused only because of another target in the same change. It is retried with the next change to any
	// target.
	waits digest
	// refusal is why the files of a fresh target were refused, which are looked at again and again; "": they were not.
	refusal string
	// hold keeps files that did not prove from being tried again too soon; nil: none do.
	hold *hold
}

// tracked is a target and what is known of it.
type tracked struct {
	target.Target
	state
}

// hold keeps files from being tried again too soon.
type hold struct {
	digest digest
	until  time.Time
	delay  time.Duration
	reason string // of the last failure
}

// How soon a target that does not prove on its last known good files is tried again: later each time.
const (
	firstHold = 2 * time.Second
	lastHold  = time.Minute
)

// standing is how files on the disk relate to what is known of their target.
type standing int

const (
	news      standing = iota // they make a change
	decided                   // they had their verdict
	takenBack                 // the service runs on them: others were refused before, and are gone again
	waiting                   // they come along with the next change to any target
	held                      // they are tried again later
)

// standing returns how files with a digest stand now.
func (s *state) standing(d digest, now time.Time) standing {
	switch {
	case d == s.judged:
		return decided
	case s.phase == proven && d == s.runs:
		return takenBack
	case d == s.waits:
		return waiting
	case s.hold != nil && s.hold.digest == d && now.Before(s.hold.until):
		return held
	}
	return news
}

// loose reports whether the service runs on bytes that were never proven.
func (s *state) loose() bool { return s.phase == unsettled || s.phase == returning }

// prove notes that the service runs on files and has proven it: all that was known before is over.
func (s *state) prove(d digest) {
	*s = state{phase: s.phase.after(proves), runs: d, judged: d}
}

// judge notes that files had a verdict which leaves the service on what it runs on.
func (s *state) judge(d digest) {
	s.phase = s.phase.after(judged)
	s.judged, s.waits = d, ""
}

// refuse notes that files were refused: for themselves, or, if they are good, because of others in the same change.
func (s *state) refuse(d digest, good bool) {
	s.phase = s.phase.after(judged)
	if good {
		s.waits = d
	} else {
		s.judged = d
	}
}

// leave notes an event after which nobody knows what the service runs on: the files that lie there are a change, even the
// last known good ones.
func (s *state) leave(e event) {
	s.phase = s.phase.after(e)
	s.runs, s.judged = "", ""
}

// fail notes that nothing has proven. Files with a digest are left alone for a while, longer each time.
func (s *state) fail(d digest, now time.Time) {
	s.leave(fails)
	h := hold{digest: d, delay: firstHold}
	if s.hold != nil {
		h.delay, h.reason = min(max(2*s.hold.delay, firstHold), lastHold), s.hold.reason
	}
	h.until = now.Add(h.delay)
	s.hold = &h
}

// lookAnew has files judged even if the same bytes were refused before. What it returns takes that back.
func (s *state) lookAnew() (undo func()) {
	judged, waits := s.judged, s.waits
	s.judged, s.refusal = "", ""
	return func() {
		s.waits, s.judged = waits, ""
		if !s.loose() {
			s.judged = judged
		}
	}
}
