package spec

import "hash/fnv"

// assignRouterIDs derives omitted virtual router IDs from the names of cluster and VIP. Given IDs take precedence. If two
// derived IDs are equal, the VIP that is later in the spec gets the next free one. So an ID usually stays the same if other
// VIPs are added after it. IDs are unique in the spec, independently of interfaces.
func (s *Spec) assignRouterIDs() {
	taken := map[int]bool{}
	for _, v := range s.VIPs {
		taken[v.VirtualRouterID] = true
	}
	for i := range s.VIPs {
		v := &s.VIPs[i]
		if v.VirtualRouterID == 0 {
			v.VirtualRouterID = freeID(s.Cluster, v.Name, taken)
			taken[v.VirtualRouterID] = true
		}
	}
}

// freeID returns a hash in 1 to 255, or the next higher free ID; 0 if there is none.
func freeID(cluster, name string, taken map[int]bool) int {
	h := fnv.New32a()
	h.Write([]byte(cluster + "\x00" + name))
	first := int(h.Sum32() % 255)
	for i := range 255 {
		if id := (first+i)%255 + 1; !taken[id] {
			return id
		}
	}
	return 0
}
