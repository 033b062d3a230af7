# Runs ha-agent verify until it succeeds, up to 30 times. $1: the agent's program; $2: the console. keepalived needs some
# advertisement intervals to settle.
tries=30
until result=$("$1" verify 2>&1); do
	tries=$((tries - 1))
	if [ "$tries" -le 0 ]; then
		echo "$result" >&2
		echo "hapair: this node failed verification; run '$1 verify'" >&2
		# The console also shows this to people who cannot log in. A write to a console can block.
		{
			echo "hapair: $(uname -n) failed verification:"
			echo "$result" | grep -v '^ok ' | head -n 12 | cut -c 1-200
		} | timeout 5 sh -c 'cat >"$1"' sh "$2" 2>/dev/null || true
		exit 1
	fi
	sleep 1
done
echo "$result"
