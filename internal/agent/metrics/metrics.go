// Package metrics writes the status of a node in Prometheus' text format 0.0.4. It does not use Prometheus' client library,
// because all values are computed from one status at the time of the request.
package metrics

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
)

// Metric describes one metric.
type Metric struct {
	Name, Type, Help string
	Labels           []string
}

// Names that are needed in more than one place.
const (
	gauge   = "gauge"
	counter = "counter"
)

// All lists the metrics in the order of the output. The label of a vrrp_instance is not "instance", because Prometheus uses
// that name for the scraped machine.
func All() []Metric {
	return []Metric{
		{"hapair_build_info", gauge, "Always 1. The labels are the running versions, empty if unknown.", []string{"version", "haproxy", "keepalived"}},
		{"hapair_vip_held", gauge, "1 while the kernel of this node has the address of the VIP.", []string{"vip", "address"}},
		{"hapair_vip_other_holders", gauge, "Machines that answer for the address while this node has it, too. More than 0 is a split brain.", []string{"vip", "address"}},
		{"hapair_vip_other_holders_unknown", gauge, "1 while this node has the VIP and cannot find out whether other machines answer for it.", []string{"vip"}},
		{"hapair_vrrp_state", gauge, "1 for the state that the running keepalived reports for the instance, 0 for all others.", []string{"vrrp_instance", "state"}},
		{"hapair_vrrp_priority", gauge, "Priority of the instance, as keepalived reports it; absent while its state is unknown.", []string{"vrrp_instance"}},
		{"hapair_on_change_runs_total", counter, "Runs of the VIP's on_change command, by how they ended.", []string{"vip", "result"}},
		{"hapair_on_change_failed", gauge, "1 while the last run of the VIP's on_change command has failed.", []string{"vip"}},
		{"hapair_haproxy_up", gauge, "1 while haproxy of this node answers.", nil},
		{"hapair_keepalived_up", gauge, "1 while keepalived of this node runs.", nil},
		{"hapair_certificate_expiry_timestamp_seconds", gauge, "When the certificate expires, in seconds of Unix time; absent if it cannot be read.", []string{"path"}},
		{"hapair_certificate_placeholder", gauge, "1 while a placeholder takes the place of the certificate.", []string{"path"}},
		{"hapair_certificate_unreadable", gauge, "1 while the certificate cannot be read.", []string{"path"}},
		{"hapair_maintenance", gauge, "1 while this node is in maintenance: it holds no VIP.", nil},
		{"hapair_maintenance_until_timestamp_seconds", gauge, "When the maintenance ends by itself; absent where it does not.", nil},
		{"hapair_changes_total", counter, "Changes of configuration by how they ended.", []string{"verdict"}},
		{"hapair_last_change_timestamp_seconds", gauge, "When the last change of configuration was noticed; absent before the first.", nil},
		{"hapair_config_generation", gauge, "Number of the change that proved the last known good files of the target; 0: none yet.", []string{"target"}},
		{"hapair_config_drift", gauge, "1 while the files of the target differ from the last known good ones, on which it runs.", []string{"target"}},
		{"hapair_revision_number", gauge, "Number of the revision that the last rollout confirmed here; 0: none yet.", nil},
		{"hapair_revision_info", gauge, "Always 1; the ID of that revision, the same on all nodes that run it. Absent before the first rollout.", []string{"id"}},
		{"hapair_revision_drift_files", gauge, "Files that were edited since that revision was rolled out.", nil},
		{"hapair_revision_trial", gauge, "1 while a revision is on trial here, neither confirmed nor undone.", nil},
		{"hapair_agent_panics_total", counter, "Panics in parts of the agent, each of which was contained: its log has their stacks.", nil},
		{"process_start_time_seconds", gauge, "When the agent was started, in seconds of Unix time.", nil},
		{"process_cpu_seconds_total", counter, "Processor time that the agent has taken.", nil},
		{"process_resident_memory_bytes", gauge, "Memory that the agent has.", nil},
		{"process_open_fds", gauge, "Files that the agent has open.", nil},
	}
}

// Snapshot is the input of the metrics.
type Snapshot struct {
	Status  control.Status
	Changes map[journal.Verdict]int
	Process Process
}

// Write writes the metrics.
func Write(w io.Writer, s Snapshot) error {
	b := bufio.NewWriter(w)
	all := samples(s)
	for _, m := range All() {
		if len(all[m.Name]) == 0 {
			continue
		}
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", m.Name, m.Help, m.Name, m.Type)
		for _, one := range all[m.Name] {
			b.WriteString(m.Name)
			for i, label := range m.Labels {
				fmt.Fprintf(b, `%s%s="%s"`, map[bool]string{true: "{", false: ","}[i == 0], label, escape(one.labels[i]))
			}
			if len(m.Labels) > 0 {
				b.WriteByte('}')
			}
			fmt.Fprintf(b, " %s\n", strconv.FormatFloat(one.value, 'g', -1, 64))
		}
	}
	return b.Flush()
}

// escape returns the value of a label in the text format.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "�"))
}
