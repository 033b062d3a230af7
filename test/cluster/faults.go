package cluster

import (
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/lab/fault"
)

// Faults returns the faults that every pair must survive. Each of them moves the VIP to the other node.
func Faults() []fault.Fault {
	return []fault.Fault{fault.HAProxyDead(), fault.HAProxyStuck(), fault.KeepalivedStopped(), fault.Shutdown(), fault.PowerCut(),
		ManagementLinkCut(), PublicLinkCut(), fault.Reboot()}
}

// ManagementLinkCut disconnects a node from the nodes' own network.
func ManagementLinkCut() fault.Fault { return linkCut("eth3", "link of the nodes' network cut") }

// PublicLinkCut disconnects a node from the VIP's network.
func PublicLinkCut() fault.Fault { return linkCut("eth4", "link of the VIP's network cut") }

func linkCut(iface, title string) fault.Fault {
	f := fault.LinksCut(func(*lab.Host) []string { return []string{iface} })
	f.Name, f.Title = f.Name+"-"+iface, title
	return f
}
