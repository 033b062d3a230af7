package lab

import "golang.org/x/sys/unix"

// niceLimit allows daemons of a host to take the highest priority, as keepalived does. In a user namespace, CAP_SYS_NICE has
// no effect, but this limit has (setrlimit(2), RLIMIT_NICE). Without CAP_SYS_RESOURCE this process cannot raise it.
func niceLimit() []string {
	const most = 40 // a nice value of -20
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NICE, &limit); err != nil {
		return nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if limit.Max < most {
		if err := unix.Capget(&header, &data[0]); err != nil || data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) == 0 {
			return nil
		}
	}
	return []string{"--rlimit=NICE=40"}
}
