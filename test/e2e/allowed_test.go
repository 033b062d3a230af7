package e2e

import (
	"regexp"
	"sync"
)

// allowed is a difference between a golden and a stock node that is not an error.
type allowed struct {
	pattern string // matches the whole key of an inventory
	reason  string
}

// allowedDifferences returns all allowed differences.
func allowedDifferences() []allowed {
	return []allowed{
		{`(file|content) /etc/apt/apt\.conf\.d/90lab`, "this test's: it sends apt to the lab's proxy"},
		{`content /etc/(machine-id|ssh/ssh_host_.*)`, "identity: each machine makes its own at its first boot"},
		{`(file|content) /var/lib/cloud/.*`, "cloud-init's records of its own run: the stock node's has more modules to run"},
		{`(file|content) /var/log/.*`, "logs: the golden image's are emptied by sealing"},
		{`(file|content) /var/(lib/apt|cache/apt)/.*`, "package lists and caches: sealing removes them"},
		{`(file|content) /var/lib/dpkg/.*-old`, "dpkg's backups: sealing removes them"},
		{`(file|content) /var/cache/debconf/.*-old`, "debconf's backups: sealing removes them"},
		{`(file|content) /etc/(passwd|group|shadow|gshadow|subuid|subgid)-`, "backups of the files of accounts: sealing removes them"},
		{`content /etc/shadow`, "has the day on which passwords were changed; the rest is compared as shadow"},
		{`content /var/lib/ha-agent/.*`, "the agent's records of its own run, with times"},
		{`file /var/lib/ha-agent/good/.*`, "copies of files that the agent has proven, by digest: on a stock node it runs while they are still set up"},
		{`content /var/lib/systemd/(random-seed|credential\.secret|timers/.*)`, "secrets and times of the machine"},
		{`file /var/tmp/systemd-private-.*`, "temporary directories of units, with random names"},
		{`sysctl net\.ipv4\.tcp_fastopen_key`, "a secret that the kernel makes at each boot"},
		{`content /var/cache/ldconfig/aux-cache`, "has times and inodes of libraries"},
		{`sysctl (fs\.(dentry-state|inode-.*|file-nr|quota\..*)|kernel\.(random\..*|ns_last_pid|pty\.nr|hostname)|vm\.(stat_.*|nr_.*))`, "counters of the kernel"},
	}
}

var allowedPatterns = sync.OnceValue(func() map[string]*regexp.Regexp {
	patterns := map[string]*regexp.Regexp{}
	for _, a := range allowedDifferences() {
		patterns[a.pattern] = regexp.MustCompile("^(?:" + a.pattern + ")$")
	}
	return patterns
})

// allowedDifference returns the pattern that allows a key to differ, or "" if there is none.
func allowedDifference(key string) string {
	for pattern, re := range allowedPatterns() {
		if re.MatchString(key) {
			return pattern
		}
	}
	return ""
}
