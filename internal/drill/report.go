package drill

import (
	"slices"
	"time"
)

// Report is the result of a drill.
type Report struct {
	Cluster  string            `json:"cluster"`
	Spec     string            `json:"spec_sha256"`
	Date     time.Time         `json:"date"`
	Took     string            `json:"took"`
	Release  string            `json:"release"`
	Versions map[string]string `json:"versions"` // of haproxy, keepalived, ha-agent, the system and the kernel
	Machine  string            `json:"machine"`  // the machine of the drill: processors and load
	AdvertMS Millis            `json:"advert_int_ms"`
	AskMS    Millis            `json:"ask_interval_ms"`
	MaxGapMS Millis            `json:"max_gap_ms,omitempty"` // the configured limit; 0 means none
	Nodes    []string          `json:"nodes"`
	VIPs     []Asked           `json:"vips"`
	Notes    []string          `json:"notes,omitempty"`    // what was not simulated, and why
	Problems []string          `json:"problems,omitempty"` // problems that the nodes had before the first fault
	Faults   []Fault           `json:"faults"`
	Ended    string            `json:"ended,omitempty"` // why some faults were not tested
	Good     bool              `json:"good"`            // see judge
}

// Asked is a VIP and the requests of its client.
type Asked struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	URL     string `json:"url,omitempty"`
	Why     string `json:"not_asked,omitempty"` // why there was no client
	// Services are the names of the VIP's services. They share its address, and so the time without an answer.
	Services []string `json:"services,omitempty"`
}

// NotAsked returns the VIPs that were not tested by a client.
func (r *Report) NotAsked() []Asked {
	return slices.DeleteFunc(slices.Clone(r.VIPs), func(v Asked) bool { return v.URL != "" })
}

// NotFinished is the verdict if a drill ended before all faults were tested, without a problem so far.
const NotFinished = "not finished"

// Verdict returns the verdict on the drill in a few words.
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
	return "not all VIPs tested"
}

// Fault summarizes all runs of one kind of fault.
type Fault struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// Figures of the VIPs that the struck node held.
	GapMedian   Millis `json:"gap_median_ms"`
	GapWorst    Millis `json:"gap_worst_ms"`
	Lost        int    `json:"lost_median"`
	LostWorst   int    `json:"lost_worst"`
	Moved       int    `json:"moved"` // how often a VIP got a new holder
	MovedMedian Millis `json:"moved_median_ms"`
	MovedWorst  Millis `json:"moved_worst_ms"`
	// Figures of all VIPs.
	Overlap Millis `json:"two_holders_worst_ms"`
	Parted  bool   `json:"parted,omitempty"` // a node could not know of another holder until the repair
	Good    bool   `json:"good"`
	Runs    []Run  `json:"runs"`
}

// Run is one strike of a fault. Times are relative to the strike.
type Run struct {
	Struck    string   `json:"struck"` // the node
	Stretch            // the part of the timeline that is shown
	Served    Millis   `json:"served_ms"`               // when all VIPs were served again; it was confirmed a little later
	Repaired  Millis   `json:"repaired_ms"`             // when the repair began
	Never     bool     `json:"never,omitempty"`         // some VIP was not served again before the repair
	By        string   `json:"by,omitempty"`            // what made the node give up its VIPs, if ha-agent is responsible for that
	TrackFile Millis   `json:"track_file_ms,omitempty"` // when its track file asked for FAULT
	VIPs      []VIPRun `json:"vips"`
	Problems  []string `json:"problems,omitempty"`
}

// VIPRun is what happened to one VIP in a run.
type VIPRun struct {
	Name     string    `json:"name"`
	Struck   bool      `json:"struck"` // whether it was on the struck node
	Before   string    `json:"before"` // its holder
	During   string    `json:"during"` // its holder when all VIPs were served again, before the repair
	After    string    `json:"after"`
	Holdings []Holding `json:"holdings"`
	Moved    Millis    `json:"new_holder_ms,omitempty"` // 0 if it stayed
	Overlap  Millis    `json:"two_holders_ms"`
	Alone    Millis    `json:"one_holder_ms"` // from when on there was one holder until the end

	Asked    bool      `json:"asked"` // whether there was a client
	Requests int       `json:"requests"`
	Lost     int       `json:"lost"`
	Gap      Millis    `json:"gap_ms"` // the longest time without an answer
	Gaps     []Stretch `json:"gaps"`
	Losses   []Loss    `json:"losses"` // when the lost requests were sent
}

// summarize combines the runs of a fault.
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
