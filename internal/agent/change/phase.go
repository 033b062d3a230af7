package change

// phase describes what is known about the files that a target's service runs on.
type phase int

const (
	// fresh: no files of the target were ever proven. It is changed alone, and bad files are tested repeatedly, because at boot
	// the only problem may be a missing interface.
	fresh phase = iota
	// proven: the service runs on files that were proven.
	proven
	// unsettled: a change was interrupted after the service may have loaded the files. The files on the disk are the next
	// change. If they are bad, the service goes back to its last known good files.
	unsettled
	// returning: a change was interrupted while the last known good files were being restored. The restore continues, whatever
	// files are on the disk.
	returning
)

func (p phase) String() string {
	return [...]string{"fresh", "proven", "unsettled", "returning"}[p]
}

// event is the result of a change for one of its targets.
type event int

const (
	// proves: the service has proven that it runs on the files.
	proves event = iota
	// judged: there is a verdict, and the service still runs on its previous files.
	judged
	// breaksOff: there is no verdict, and the service may have loaded the files.
	breaksOff
	// interrupted: the agent died or panicked after the first service was touched.
	interrupted
	// interruptedReturn: the same during a rollback.
	interruptedReturn
	// fails: neither the new files nor the last known good ones could be proven. It is tried again later.
	fails
)

func (e event) String() string {
	return [...]string{"proves", "judged", "breaks off", "interrupted", "interrupted return", "fails"}[e]
}

// transitions lists all transitions. The test takes a target through each of them.
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
	{unsettled, judged, unsettled}, // there are no last known good files
	{unsettled, breaksOff, unsettled},
	{unsettled, interrupted, unsettled},
	{unsettled, interruptedReturn, returning},
	{unsettled, fails, unsettled},

	{returning, proves, proven},
	{returning, judged, unsettled}, // there are no last known good files
	{returning, breaksOff, unsettled},
	{returning, interruptedReturn, returning},
	{returning, fails, unsettled},
}

// after returns the phase that follows an event. An event that is not in the table changes nothing.
func (p phase) after(e event) phase {
	for _, t := range transitions {
		if t.from == p && t.on == e {
			return t.to
		}
	}
	return p
}
