# Reports whether the node is what it must be. $1: the agent's program; $2: the console. keepalived needs some advertisements to settle.
tries=30
until result=$("$1" verify 2>&1); do
	tries=$((tries - 1))
	if [ "$tries" -le 0 ]; then
		echo "$result" >&2
		echo "hapair: this node is not as it should be; see '$1 verify'" >&2
		# Somebody who cannot log in sees this. A console can block its writer.
		{
			echo "hapair: $(uname -n) is not as it should be:"
			echo "$result" | grep -v '^ok ' | head -n 12 | cut -c 1-200
		} | timeout 5 sh -c 'cat >"$1"' sh "$2" 2>/dev/null || true
		exit 1
	fi
	sleep 1
done
echo "$result"
