# Tells whether all of it holds. $1: the agent's program. keepalived needs some advertisements to settle.
tries=30
until result=$("$1" verify 2>&1); do
	tries=$((tries - 1))
	[ "$tries" -gt 0 ] || { echo "$result" >&2; echo "hapair: this node is not as it should be; see '$1 verify'" >&2; exit 1; }
	sleep 1
done
echo "$result"
