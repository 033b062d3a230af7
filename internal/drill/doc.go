// Package drill boots the cluster of a spec in the lab, causes faults, and reports how they affected clients.
package drill
