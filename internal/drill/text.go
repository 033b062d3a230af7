package drill

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// show formats milliseconds for people.
func show(m Millis) string {
	switch {
	case m < 9.95:
		return fmt.Sprintf("%.1f ms", float64(m))
	case m < 9999.5:
		return fmt.Sprintf("%.0f ms", float64(m))
	}
	return fmt.Sprintf("%.1f s", float64(m)/1000)
}

// told returns the line about a run, with a part for each VIP.
func told(f drilled, r Run) string {
	var parts []string
	for _, v := range r.VIPs {
		part := fmt.Sprintf("%s stays on %s", v.Name, v.After)
		if v.After == "" {
			part = "no node holds " + v.Name
		}
		if v.Moved > 0 {
			part = fmt.Sprintf("%s to %s after %s", v.Name, newNode(v), show(v.Moved))
			if v.After != newNode(v) {
				part += ", and back"
			}
		}
		if v.Asked {
			part += fmt.Sprintf(", gap %s, %d lost", show(v.Gap), v.Lost)
		}
		parts = append(parts, part)
	}
	if r.By == byTrackScript {
		parts = append(parts, "by the track_script")
	}
	head := fmt.Sprintf("%-15s  %s: ", f.Name, r.Struck)
	line := head + strings.Join(parts, "\n"+strings.Repeat(" ", len(head)))
	for _, p := range r.Problems {
		line += "\n                 NOT OK: " + strings.ReplaceAll(p, "\n", "\n                 ")
	}
	return line
}

// newNode returns the node that took over the VIP first.
func newNode(v VIPRun) string {
	for _, h := range v.Holdings {
		if h.Node != v.Before && h.From >= 0 {
			return h.Node
		}
	}
	return v.Before
}

// Print writes the report as a table.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FAULT\tRUNS\tGAP median\tworst\tLOST median\tworst\tMOVED median\tworst\tTWO HOLDERS\t")
	for _, f := range r.Faults {
		moved, movedWorst := "stays", ""
		if f.Moved > 0 {
			moved, movedWorst = show(f.MovedMedian), show(f.MovedWorst)
		}
		verdict := "ok"
		if !f.Good {
			verdict = "NOT OK"
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", f.Name, len(f.Runs), show(f.GapMedian), show(f.GapWorst), f.Lost, f.LostWorst,
			moved, movedWorst, f.Together(), verdict)
	}
	err := t.Flush()
	for _, p := range r.Problems {
		fmt.Fprintf(w, "NOT OK: before the first fault: %s\n", p)
	}
	for _, v := range r.NotAsked() {
		fmt.Fprintf(w, "NOT TESTED: %s at %s: %s\n", v.Name, v.Address, v.Why)
	}
	if r.Ended != "" {
		fmt.Fprintf(w, "NOT FINISHED: %s\n", r.Ended)
	}
	return err
}

// Together returns how long a VIP had two holders, as text for people. It marks cases in which the nodes could not see each
// other.
func (f Fault) Together() string {
	if f.Parted {
		return show(f.Overlap) + " apart"
	}
	return show(f.Overlap)
}
