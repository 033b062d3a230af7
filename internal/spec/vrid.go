package spec

import "hash/fnv"

// assignRouterIDs derives the VRIDs that were left out from the names of cluster and VIP. Explicit ones go first; where
// two meet, the later in the spec takes the next free one. So an id stays the same when other VIPs are added after it, as far
// as it can: ids are unique within the spec, whatever the interface.
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

// freeID hashes to 1..255 and goes on from there to the first that is free; 0 where none is.
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
