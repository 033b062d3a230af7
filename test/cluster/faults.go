package cluster

import (
	"testing"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/fault"
)

// Faults are what everybody's pair must stand. Each of them moves the VIP to the other node.
func Faults() []fault.Fault {
	return []fault.Fault{fault.HAProxyDead(), fault.HAProxyStuck(), fault.KeepalivedStopped(), fault.Shutdown(), fault.PowerCut(),
		linkCut("eth3", "link of the nodes' network cut"), linkCut("eth4", "link of the VIP's network cut"), fault.Reboot()}
}

// FaultNamed is the one of Faults with a name.
func FaultNamed(t testing.TB, name string) fault.Fault {
	t.Helper()
	for _, f := range Faults() {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("there is no fault %q", name)
	return fault.Fault{}
}

func linkCut(iface, title string) fault.Fault {
	f := fault.LinksCut(func(*lab.Host) []string { return []string{iface} })
	f.Name, f.Title = f.Name+"-"+iface, title
	return f
}
