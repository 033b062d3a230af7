//go:build !faultpoints

package main

// point is called with the name of each step of a change. A build with the tag faultpoints ends the agent there, for tests.
func point(string) {}
