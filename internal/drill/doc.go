// Package drill boots the cluster of a spec in the lab, breaks it on purpose and tells what a client saw of it.
package drill
