package change

import (
	"time"

	"github.com/hapair/hapair/internal/agent/target"
)

// digest identifies the content of all files of a target. The zero digest is that of no files.
type digest string

// state is what is known about one target. The zero state means that nothing is known.
type state struct {
	phase phase
	// runs is the digest of the files that the service runs on; zero unless they are proven.
	runs digest
	// judged is the digest of the files that had the last verdict: unchanged files are not a change.
	judged digest
	// waits is the digest of files that were refused only because of another target in the same change. They are retried with
	// the next change to any target.
	waits digest
	// refusal is the reason why the files of a fresh target were refused; "": they were not. Such files are tested again and
	// again.
	refusal string
	// hold delays the next try of files that could not be proven; nil: no delay.
	hold *hold
}

// tracked is a target and its state.
type tracked struct {
	target.Target
	state
}

// hold delays the next try of files.
type hold struct {
	digest digest
	until  time.Time
	delay  time.Duration
	reason string // of the last failure
}

// How soon a target is tried again whose last known good files could not be proven: later each time.
const (
	firstHold = 2 * time.Second
	lastHold  = time.Minute
)

// relation describes how the files on the disk relate to the state of their target.
type relation int

const (
	newFiles     relation = iota // they are new, so they must be tested
	judgedBefore                 // they already had their verdict
	restored                     // the service runs on them: the refused files were replaced by the old ones again
	deferred                     // they are retried with the next change to any target
	held                         // they are tried again later
)

// relation returns the relation of files with a digest.
func (s *state) relation(d digest, now time.Time) relation {
	switch {
	case d == s.judged:
		return judgedBefore
	case s.phase == proven && d == s.runs:
		return restored
	case d == s.waits:
		return deferred
	case s.hold != nil && s.hold.digest == d && now.Before(s.hold.until):
		return held
	}
	return newFiles
}

// loose reports whether the service runs on files that were never proven.
func (s *state) loose() bool { return s.phase == unsettled || s.phase == returning }

// prove records that the service runs on files and has proven it.
func (s *state) prove(d digest) {
	*s = state{phase: s.phase.after(proves), runs: d, judged: d}
}

// judge records a verdict after which the service still runs on its previous files.
func (s *state) judge(d digest) {
	s.phase = s.phase.after(judged)
	s.judged, s.waits = d, ""
}

// refuse records that files were refused: for their own fault or, if they are good, because of another target in the same
// change.
func (s *state) refuse(d digest, good bool) {
	s.phase = s.phase.after(judged)
	if good {
		s.waits = d
	} else {
		s.judged = d
	}
}

// leave records an event after which it is not known what the service runs on. The files on the disk are then a change, even
// if they are the last known good ones.
func (s *state) leave(e event) {
	s.phase = s.phase.after(e)
	s.runs, s.judged = "", ""
}

// fail records that no files could be proven. Files with this digest are not tried for a while, longer each time.
func (s *state) fail(d digest, now time.Time) {
	s.leave(fails)
	h := hold{digest: d, delay: firstHold}
	if s.hold != nil {
		h.delay, h.reason = min(max(2*s.hold.delay, firstHold), lastHold), s.hold.reason
	}
	h.until = now.Add(h.delay)
	s.hold = &h
}

// lookAnew makes the next round test the files even if the same files were refused before. The function that it returns undoes
// that.
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
