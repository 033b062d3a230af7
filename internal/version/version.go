// Package version holds the version of bake, ha-agent and the Packer plugin: one number for all of them.
package version

// Version is a semantic version without anything behind its three numbers. The Packer plugin reports it as a release
// (and not as a -dev version) because `packer init` asks the network for a better one where only a -dev is installed.
const Version = "0.1.0"
