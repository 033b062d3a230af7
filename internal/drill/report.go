package drill

import (
	"slices"
	"time"
)

// Report is what a drill found.
type Report struct {
	Cluster  string            `json:"cluster"`
	Spec     string            `json:"spec_sha256"`
	Date     time.Time         `json:"date"`
	Took     string            `json:"took"`
	Release  string            `json:"release"`
	Versions map[string]string `json:"versions"` // of haproxy, keepalived, ha-agent, the system and the kernel
	Machine  string            `json:"machine"`  // that it ran on: processors and load
	AdvertMS Millis            `json:"advert_int_ms"`
	AskMS    Millis            `json:"ask_interval_ms"`
	MaxGapMS Millis            `json:"max_gap_ms,omitempty"` // the limit that was set; 0: none
	Nodes    []string          `json:"nodes"`
	VIPs     []Asked           `json:"vips"`
	Notes    []string          `json:"notes,omitempty"`    // what was left out, and why
	Problems []string          `json:"problems,omitempty"` // that the nodes had before the first fault
	Faults   []Fault           `json:"faults"`
	Ended    string            `json:"ended,omitempty"` // why not all faults were gone through
	Good     bool              `json:"good"`            // see judge
}

// Asked is a VIP and what its client asked for.
type Asked struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	URL     string `json:"url,omitempty"`
	Why     string `json:"not_asked,omitempty"` // why there was no client
}

// NotAsked are the VIPs about which no client can report.
func (r *Report) NotAsked() []Asked {
	return slices.DeleteFunc(slices.Clone(r.VIPs), func(v Asked) bool { return v.URL != "" })
}

// NotFinished is the verdict on a drill that ended before all faults were gone through and found no problem until then.
const NotFinished = "not finished"

// Verdict sums the drill up in some words.
func (r *Report) Verdict() string {
	bad := len(r.Problems) > 0 || slices.ContainsFunc(r.Faults, func(f Fault) bool { return !f.Good })
	switch {
	case r.Good:
		return "all good"
	case bad:
		return "not good"
	case r.Ended != "":
		return NotFinished
	}
	return "not all asked"
}

// Fault is what one kind of fault did, over all runs.
type Fault struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Of the VIPs that the node held that was struck.
	GapMedian   Millis `json:"gap_median_ms"`
	GapWorst    Millis `json:"gap_worst_ms"`
	Lost        int    `json:"lost_median"`
	LostWorst   int    `json:"lost_worst"`
	Moved       int    `json:"moved"` // how many times a VIP got a new holder
	MovedMedian Millis `json:"moved_median_ms"`
	MovedWorst  Millis `json:"moved_worst_ms"`
	// Of all VIPs.
	Overlap Millis `json:"two_holders_worst_ms"`
	Parted  bool   `json:"parted,omitempty"` // a node could not know of another holder until the repair
	Good    bool   `json:"good"`
	Runs    []Run  `json:"runs"`
}

// Run is a fault that struck once. Its times count from the strike.
type Run struct {
	Struck    string   `json:"struck"` // the node
	Stretch            // what is shown
	Served    Millis   `json:"served_ms"`               // since when all was served again, as was seen a little later
	Repaired  Millis   `json:"repaired_ms"`             // when the repair began
	By        string   `json:"by,omitempty"`            // how the node came to give its VIPs away, if ha-agent must see to that
	TrackFile Millis   `json:"track_file_ms,omitempty"` // when its track file asked for that
	VIPs      []VIPRun `json:"vips"`
	Problems  []string `json:"problems,omitempty"`
}

// VIPRun is what became of one VIP.
type VIPRun struct {
	Name     string    `json:"name"`
	Struck   bool      `json:"struck"` // it was on the node that was struck
	Before   string    `json:"before"` // its holder
	During   string    `json:"during"` // when all was served again, before the repair
	After    string    `json:"after"`
	Holdings []Holding `json:"holdings"`
	Moved    Millis    `json:"new_holder_ms,omitempty"` // 0: it stayed
	Overlap  Millis    `json:"two_holders_ms"`
	Alone    Millis    `json:"one_holder_ms"` // since when there was one holder for good

	Asked    bool      `json:"asked"` // there was a client
	Requests int       `json:"requests"`
	Lost     int       `json:"lost"`
	Gap      Millis    `json:"gap_ms"` // the longest time without an answer
	Gaps     []Stretch `json:"gaps"`
	Losses   []Loss    `json:"losses"` // when the lost requests were sent
}

// summarize counts the runs of a fault together.
func summarize(f drilled, runs []Run) Fault {
	out := Fault{Name: f.Name, Title: f.Title, Parted: f.parted, Good: true, Runs: runs}
	var gaps, moved, lost []Millis
	for _, r := range runs {
		out.Good = out.Good && len(r.Problems) == 0
		for _, v := range r.VIPs {
			out.Overlap = max(out.Overlap, v.Overlap)
			if !v.Struck {
				continue
			}
			if v.Moved > 0 {
				moved = append(moved, v.Moved)
			}
			if v.Asked {
				gaps, lost = append(gaps, v.Gap), append(lost, Millis(v.Lost))
			}
		}
	}
	out.GapMedian, out.GapWorst = median(gaps), worst(gaps)
	out.Lost, out.LostWorst = int(median(lost)), int(worst(lost))
	out.Moved, out.MovedMedian, out.MovedWorst = len(moved), median(moved), worst(moved)
	return out
}

func worst(values []Millis) Millis {
	var most Millis
	for _, v := range values {
		most = max(most, v)
	}
	return most
}
