// Package version holds the version of bake, ha-agent and the Packer plugin: one for all of them.
package version

import (
	"cmp"
	"runtime/debug"
)

// Version is a semantic version without anything behind its three numbers. The Packer plugin reports it as a release
// (and not as a -dev version) because `packer init` asks the network for a better one where only a -dev is installed.
const Version = "0.1.0"

// commit is the source's commit; a build without version control sets it: -ldflags "-X …/internal/version.commit=…".
var commit string

// String returns the version and, as semantic versioning's build metadata, the commit that the program was built from:
// 0.1.0+3f2a9c4d1e5b, with .dirty behind it if files had been changed. Without a known commit it is Version.
func String() string {
	settings := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
	}
	return describe(commit, settings)
}

// describe makes the version of a commit, or of the tool chain's build settings.
func describe(commit string, settings map[string]string) string {
	revision := cmp.Or(commit, settings["vcs.revision"])
	if revision == "" {
		return Version
	}
	out := Version + "+" + revision[:min(len(revision), 12)]
	if commit == "" && settings["vcs.modified"] == "true" {
		out += ".dirty"
	}
	return out
}
