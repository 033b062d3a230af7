package metrics

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/keepalived"
)

// sample is one value, with the values of the metric's labels in their order.
type sample struct {
	labels []string
	value  float64
}

// samples are the values by the name of their metric.
func samples(s Snapshot) map[string][]sample {
	all := map[string][]sample{}
	add := func(name string, value float64, labels ...string) {
		all[name] = append(all[name], sample{labels, value})
	}
	st := s.Status
	add("hapair_build_info", 1, st.Versions.Agent, st.Versions.HAProxy, st.Versions.Keepalived)
	addVIPs(st.VIPs, add)
	addInstances(st.Instances, add)
	add("hapair_haproxy_up", truth(st.HAProxy.Answers))
	for _, t := range st.Targets {
		add("hapair_config_generation", float64(t.Generation), t.Name)
		add("hapair_config_drift", truth(t.Drift), t.Name)
		if t.Name == "keepalived" {
			add("hapair_keepalived_up", truth(t.Active == "active" || t.Active == "reloading"))
		}
	}
	for _, c := range st.Certificates {
		if c.Why == "" {
			add("hapair_certificate_expiry_timestamp_seconds", seconds(c.NotAfter), c.Path)
		}
		add("hapair_certificate_placeholder", truth(c.Placeholder), c.Path)
		add("hapair_certificate_unreadable", truth(c.Why != ""), c.Path)
	}
	add("hapair_maintenance", truth(st.Maintenance))
	if !st.MaintenanceUntil.IsZero() {
		add("hapair_maintenance_until_timestamp_seconds", seconds(st.MaintenanceUntil))
	}
	verdicts := []journal.Verdict{journal.Proven, journal.Refused, journal.RolledBack, journal.Failed}
	for _, v := range slices.Sorted(maps.Keys(s.Changes)) {
		if !slices.Contains(verdicts, v) {
			verdicts = append(verdicts, v)
		}
	}
	for _, v := range verdicts {
		add("hapair_changes_total", float64(s.Changes[v]), strings.ReplaceAll(string(v), " ", "_"))
	}
	if st.LastChange != nil {
		add("hapair_last_change_timestamp_seconds", seconds(st.LastChange.Time))
	}
	addRevision(st.Revision, add)
	panics := 0
	for _, p := range st.Daemon.Panics {
		panics += p.Count
	}
	add("hapair_agent_panics_total", float64(panics))
	p := s.Process
	if p.OK {
		add("process_cpu_seconds_total", p.CPU.Seconds())
		add("process_resident_memory_bytes", float64(p.Resident))
		add("process_open_fds", float64(p.OpenFiles))
	}
	add("process_start_time_seconds", seconds(st.Daemon.Since))
	return all
}

func addRevision(r *control.Revision, add func(name string, value float64, labels ...string)) {
	if r == nil {
		r = &control.Revision{}
	}
	add("hapair_revision_number", float64(r.Number))
	if r.ID != "" {
		add("hapair_revision_info", 1, r.ID)
	}
	add("hapair_revision_drift_files", float64(len(r.Drift)))
	add("hapair_revision_trial", truth(r.Trial != nil))
}

func addVIPs(vips []control.VIP, add func(name string, value float64, labels ...string)) {
	for _, v := range vips {
		for _, prefix := range v.Addresses {
			address, _, _ := strings.Cut(prefix, "/")
			held, others := false, 0
			for _, a := range v.HeldAddresses {
				held = held || a == address
			}
			for _, o := range v.OtherHolders {
				if o.Address == address {
					others++
				}
			}
			add("hapair_vip_held", truth(held), v.Name, address)
			add("hapair_vip_other_holders", float64(others), v.Name, address)
		}
		add("hapair_vip_other_holders_unknown", truth(v.OtherHoldersUnknown != ""), v.Name)
		if o := v.OnChange; o != nil {
			add("hapair_on_change_runs_total", float64(o.Runs-o.Failures), v.Name, "ok")
			add("hapair_on_change_runs_total", float64(o.Failures), v.Name, "failed")
			add("hapair_on_change_failed", truth(o.Why != ""), v.Name)
		}
	}
}

func addInstances(instances []control.Instance, add func(name string, value float64, labels ...string)) {
	states := []string{string(keepalived.Master), string(keepalived.Backup), string(keepalived.Fault), string(keepalived.Stopped), control.Unknown}
	for _, i := range instances {
		for _, state := range states {
			add("hapair_vrrp_state", truth(i.State == state), i.Name, strings.ToLower(state))
		}
		if i.State != control.Unknown {
			add("hapair_vrrp_priority", float64(i.Priority), i.Name)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
