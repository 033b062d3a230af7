package spec

import (
	"fmt"
	"testing"
)

// wantPublicID is the id that is derived for VIP public of cluster test.
const wantPublicID = 124

func withVIPs(names ...string) *Spec {
	s := &Spec{Cluster: "test"}
	for _, name := range names {
		s.VIPs = append(s.VIPs, VIP{Name: name})
	}
	s.assignRouterIDs()
	return s
}

func TestRouterIDsStayTheSame(t *testing.T) {
	alone, more := withVIPs("public"), withVIPs("public", "a", "b", "c")
	if alone.VIPs[0].VirtualRouterID != more.VIPs[0].VirtualRouterID {
		t.Errorf("the id was %d, and is %d beside others", alone.VIPs[0].VirtualRouterID, more.VIPs[0].VirtualRouterID)
	}
	// Written down so that a change of the hash, which would make a running cluster's nodes disagree, is noticed.
	if id := alone.VIPs[0].VirtualRouterID; id != wantPublicID {
		t.Errorf("the id of public is %d, and was %d", id, wantPublicID)
	}
	other := &Spec{Cluster: "other", VIPs: []VIP{{Name: "public"}}}
	other.assignRouterIDs()
	if other.VIPs[0].VirtualRouterID == wantPublicID {
		t.Error("two clusters have one id")
	}
}

func TestRouterIDsNeverCollide(t *testing.T) {
	s := &Spec{Cluster: "test"}
	for i := range 255 {
		s.VIPs = append(s.VIPs, VIP{Name: fmt.Sprint("vip", i)})
	}
	s.VIPs[200].VirtualRouterID, s.VIPs[254].VirtualRouterID = 1, 255
	s.assignRouterIDs()
	seen := map[int]bool{}
	for _, v := range s.VIPs {
		if v.VirtualRouterID < 1 || v.VirtualRouterID > 255 || seen[v.VirtualRouterID] {
			t.Fatalf("%s has the id %d", v.Name, v.VirtualRouterID)
		}
		seen[v.VirtualRouterID] = true
	}
	if s.VIPs[200].VirtualRouterID != 1 || s.VIPs[254].VirtualRouterID != 255 {
		t.Error("an explicit id was changed")
	}
}
