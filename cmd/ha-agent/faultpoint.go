//go:build !faultpoints

package main

// point is called with the name of each step of a change. In a build with the tag faultpoints it can end the agent at that
// step, for tests.
func point(string) {}
