# Keeps namespaces open until standard input is closed. Runs in a separate mount namespace. $1 is --net for a network namespace, or
# empty. $2 is the name of a cgroup for all processes, or empty. The first line on stdout is the process ID of the init outside
# its namespace; after that, every line of standard input is echoed.
set -eu
network=$1 cgroup=$2 dir=

if [ -n "$cgroup" ]; then
	# Version 2 can be mounted over whatever is mounted there (tmpfs with version 1 controllers, a read-only cgroup2).
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	own=$(sed -n 's/^0:://p' /proc/self/cgroup)
	dir=/sys/fs/cgroup$own/$cgroup
	mkdir -p "$dir/hub"
fi

(
	if [ -n "$dir" ]; then
		echo 0 >"$dir/cgroup.procs"
	fi
	exec unshare --mount --propagation private --pid --uts --ipc $network ${dir:+--cgroup} --fork --kill-child sh -euc '
		read -r pid rest </proc/self/stat
		mount -t proc proc /proc
		if [ -n "$1" ]; then mount -t sysfs sysfs /sys; fi
		if [ -n "$2" ]; then
			mount -t cgroup2 cgroup2 /sys/fs/cgroup
			echo 0 >/sys/fs/cgroup/hub/cgroup.procs
		fi
		echo "$pid"
		exec cat' sh "$network" "$dir"
) || status=$?

# The kernel has killed all processes. The cgroups are now empty directories, which must be removed here.
if [ -n "$dir" ]; then
	tries=0
	until find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || [ $tries = 50 ]; do
		tries=$((tries + 1))
		sleep 0.1
	done
fi
exit "${status:-0}"
