package change

// phase is what is known of the files that a target's service runs on.
type phase int

const (
	// fresh: no files of the target were ever proven. It is taken over by itself, and bad files are looked at again and again:
	// at boot a file may be bad only because an interface is not there yet.
	fresh phase = iota
	// proven: the service runs on files that were proven.
	proven
	// unsettled: a change was broken off after the service may have taken the files over. Whatever lies there now is taken
	// through a change; if it is bad, the service goes back to its last known good files.
	unsettled
	// returning: a change was broken off while the service went back to its last known good files. It goes on going back,
	// whatever lies there now.
	returning
)

func (p phase) String() string {
	return [...]string{"fresh", "proven", "unsettled", "returning"}[p]
}

// event is what a change comes to for one of its targets.
type event int

const (
	// proves: the service runs on files, and has proven it.
	proves event = iota
	// judged: there is a verdict, and the service runs on what it ran on.
	judged
	// breaksOff: there is no verdict, and the service may have taken the files over.
	breaksOff
	// interrupted: the agent died or panicked after the first service was touched.
	interrupted
	// interruptedReturn: the same while it went back.
	interruptedReturn
	// fails: neither the new files nor the last known good ones have proven. It is tried again later.
	fails
)

func (e event) String() string {
	return [...]string{"proves", "judged", "breaks off", "interrupted", "interrupted return", "fails"}[e]
}

// transitions are all that can happen. The test takes a target through each of them.
var transitions = []struct {
	from phase
	on   event
	to   phase
}{
	{fresh, proves, proven},
	{fresh, judged, fresh},
	{fresh, breaksOff, fresh},
	{fresh, interrupted, fresh},

	{proven, proves, proven},
	{proven, judged, proven},
	{proven, breaksOff, unsettled},
	{proven, interrupted, unsettled},
	{proven, interruptedReturn, returning},
	{proven, fails, unsettled},

	{unsettled, proves, proven},
	{unsettled, judged, unsettled}, // there is nothing to go back to
	{unsettled, breaksOff, unsettled},
	{unsettled, interrupted, unsettled},
	{unsettled, interruptedReturn, returning},
	{unsettled, fails, unsettled},

	{returning, proves, proven},
	{returning, judged, unsettled}, // there is nothing to go back to
	{returning, breaksOff, unsettled},
	{returning, interruptedReturn, returning},
	{returning, fails, unsettled},
}

// after returns the phase that follows an event. What the table does not have changes nothing.
func (p phase) after(e event) phase {
	for _, t := range transitions {
		if t.from == p && t.on == e {
			return t.to
		}
	}
	return p
}
