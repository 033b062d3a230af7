# Holds namespaces open for as long as standard input is. Runs in a mount namespace of its own; $1 is --net for a network
# namespace or empty, $2 the name of a cgroup for all of it or empty. The first line on stdout is the process id of the
# init as the caller sees it; then every line of standard input comes back.
set -eu
network=$1 cgroup=$2 dir=

if [ -n "$cgroup" ]; then
	# Whatever is mounted there (tmpfs with version 1 controllers, a read-only cgroup2), version 2 can be mounted over it.
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

# The kernel has killed whatever was in it; its cgroups are empty directories now, which nobody else would remove.
if [ -n "$dir" ]; then
	tries=0
	until find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || [ $tries = 50 ]; do
		tries=$((tries + 1))
		sleep 0.1
	done
fi
exit "${status:-0}"
