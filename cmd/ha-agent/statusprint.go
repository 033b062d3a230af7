package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/termsafe"
)

// shownChanges is the number of changes that are printed for people; --json prints more.
const shownChanges = 5

// table prints text in columns. Problems are in capitals.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

func (t table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = termsafe.Line(c) // much of it comes from haproxy, keepalived and file names
	}
	fmt.Fprintln(t, strings.Join(cells, "\t"))
}

// printStatus prints a status for people: the state of the node, and tables of its VIPs, its files and their changes.
func printStatus(out io.Writer, s control.Status) error {
	var b strings.Builder
	printNode(&b, s)
	printVIPs(&b, s)
	printTargets(&b, s.Targets)
	printServers(&b, s.Servers)
	printCertificates(&b, s.Certificates, time.Now())
	printChanges(&b, s.Changes)
	// A column that is empty in the last rows leaves trailing blanks.
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(out, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func printNode(w io.Writer, s control.Status) {
	t := newTable(w)
	defer t.Flush()
	t.row("node", s.Node+" of cluster "+s.Cluster)
	if s.Daemon.Running {
		t.row("agent", fmt.Sprintf("running since %s, process %d, version %s", at(s.Daemon.Since), s.Daemon.PID, s.Versions.Agent))
	} else {
		t.row("agent", "NOT RUNNING: "+s.Daemon.Why)
	}
	for _, p := range s.Daemon.Panics {
		t.row("", fmt.Sprintf("PANICKED in %s, %d times, last at %s: %s (`journalctl -u ha-agent` has the stack)", p.Part, p.Count, at(p.Last), p.Reason))
	}
	if s.HAProxy.Answers {
		t.row("haproxy", fmt.Sprintf("answers, process %d, version %s", s.HAProxy.PID, s.Versions.HAProxy))
	} else {
		t.row("haproxy", "DOES NOT ANSWER: "+s.HAProxy.Why)
	}
	t.row("keepalived", keepalivedLine(s))
	if s.Firewall != nil {
		t.row("firewall", firewallLine(*s.Firewall))
	}
	switch {
	case !s.Maintenance:
		t.row("maintenance", "off")
	case s.MaintenanceUntil.IsZero():
		t.row("maintenance", "ON: this node holds no VIP until `ha-agent maintenance off`")
	default:
		t.row("maintenance", "ON: this node holds no VIP until "+at(s.MaintenanceUntil))
	}
	if s.Revision != nil {
		t.row("revision", revisionLine(*s.Revision))
		for _, path := range s.Revision.Drift {
			t.row("", "DRIFT: "+path+" was edited since it was rolled out")
		}
	}
	for _, p := range s.Problems {
		t.row("PROBLEM", p)
	}
}

func revisionLine(r control.Revision) string {
	line := r.Ref.String()
	if !r.Since.IsZero() {
		line += " since " + at(r.Since)
	}
	if r.By != "" {
		line += ", rolled out by " + r.By
	}
	if r.Trial != nil {
		line += fmt.Sprintf("; %v is %s since %s", r.Trial.Ref, strings.ToUpper(string(r.Trial.Phase)), at(r.Trial.Since))
	}
	return line
}

func firewallLine(f control.Firewall) string {
	switch f.Active {
	case "active":
		return "loaded"
	case "":
		return "unknown: systemd does not answer"
	}
	return "NOT LOADED: " + f.Unit + " is " + f.Active + ": VRRP packets from all machines are accepted"
}

func keepalivedLine(s control.Status) string {
	i := slices.IndexFunc(s.Targets, func(t control.Target) bool { return t.Name == "keepalived" })
	var line string
	switch {
	case i < 0 || s.Targets[i].Active == "":
		line = "unknown: systemd does not answer"
	case s.Targets[i].Active == "active" || s.Targets[i].Active == "reloading":
		line = "runs"
	default:
		line = "DOES NOT RUN: " + s.Targets[i].Unit + " is " + s.Targets[i].Active
	}
	if s.Versions.Keepalived != "" {
		line += ", version " + s.Versions.Keepalived
	}
	return line
}

// printVIPs prints, for each address, whether the kernel has it, the state that keepalived reports, and which other machines
// answer for it.
func printVIPs(w io.Writer, s control.Status) {
	instances := map[string]control.Instance{}
	for _, i := range s.Instances {
		instances[i.Name] = i
	}
	t := newTable(w)
	defer t.Flush()
	fmt.Fprintln(t)
	t.row("VIP", "ADDRESS", "INTERFACE", "KERNEL", "KEEPALIVED", "OTHER HOLDERS")
	for _, v := range s.VIPs {
		said := saying(v.Instances, instances)
		for n, prefix := range v.Addresses {
			address, _, _ := strings.Cut(prefix, "/")
			held := slices.Contains(v.HeldAddresses, address)
			name := v.Name
			if n > 0 {
				name, said = "", ""
			}
			t.row(name, prefix, v.Interface, map[bool]string{true: "held", false: "not held"}[held], said, otherHolders(s, v, address, held))
		}
	}
	for _, v := range s.VIPs {
		if v.OnChange != nil {
			t.row(v.Name, "", "", "", onChange(*v.OnChange))
		}
	}
	for _, i := range s.Instances {
		if i.Why != "" && s.Daemon.Running {
			t.row("", "", "", "", i.Name+" is unknown: "+i.Why)
		}
	}
}

// onChange describes the last run of a VIP's command.
func onChange(o control.OnChange) string {
	switch {
	case o.Why != "":
		return "on_change FAILED for " + o.State + ": " + o.Why
	case o.Runs == 0:
		return "on_change has not run"
	}
	return "on_change is done for " + o.State
}

// saying returns the states that keepalived reports for the instances of a VIP.
func saying(names []string, instances map[string]control.Instance) string {
	var said []string
	for _, name := range names {
		i := instances[name]
		switch {
		case i.State == "" || i.State == control.Unknown:
			said = append(said, control.Unknown)
		default:
			said = append(said, fmt.Sprintf("%s since %s, priority %d", i.State, at(i.Since), i.Priority))
		}
		if i.State == "MASTER" && (i.Kernel == "not held" || i.Kernel == "held in part") || i.State != "MASTER" && i.State != control.Unknown && i.Kernel == "held" {
			said[len(said)-1] += " (THE KERNEL DISAGREES)"
		}
	}
	return strings.Join(said, "; ")
}

// otherHolders returns the machines that answer for an address that this node holds.
func otherHolders(s control.Status, v control.VIP, address string, held bool) string {
	var others []string
	for _, o := range v.OtherHolders {
		if o.Address == address {
			others = append(others, o.HardwareAddress)
		}
	}
	switch {
	case len(others) > 0:
		return "YES: " + strings.Join(others, " ")
	case !held:
		return ""
	case v.OtherHoldersUnknown != "" || !s.Daemon.Running:
		return control.Unknown
	}
	return "none"
}

func printTargets(w io.Writer, targets []control.Target) {
	t := newTable(w)
	defer t.Flush()
	fmt.Fprintln(t)
	t.row("TARGET", "GENERATION", "DIGEST", "DISK")
	for _, target := range targets {
		disk := "as proven"
		switch {
		case target.Generation == 0:
			disk = "not proven yet"
		case target.Drift:
			disk = fmt.Sprintf("DRIFT: the service runs generation %d, digest %.12s", target.Generation, target.GoodDigest)
		}
		t.row(target.Name, fmt.Sprint(target.Generation), fmt.Sprintf("%.12s", target.Digest), disk)
		for _, f := range target.Files {
			switch f.State {
			case "drift":
				t.row("", "", fmt.Sprintf("%.12s", f.Digest), f.Path)
			case "missing":
				t.row("", "", "", f.Path+": missing")
			case "unreadable":
				t.row("", "", "", f.Why)
			}
		}
	}
}

func printChanges(w io.Writer, changes []journal.Change) {
	if len(changes) == 0 {
		return
	}
	t := newTable(w)
	defer t.Flush()
	fmt.Fprintln(t)
	t.row("CHANGE", "AT", "TOOK", "TARGETS", "VERDICT")
	for _, c := range changes[:min(shownChanges, len(changes))] {
		verdict := string(c.Verdict)
		if c.Verdict != journal.Proven {
			verdict = strings.ToUpper(verdict)
		}
		if c.Reason != "" {
			verdict += ": " + strings.Join(strings.Fields(c.Reason), " ")
		}
		t.row(fmt.Sprint(c.Number), at(c.Time), c.Took, strings.Join(c.Targets, ", "), verdict)
	}
}

// at formats a time in UTC, so that logs and output of different nodes can be compared.
func at(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
