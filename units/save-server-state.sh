#!/bin/sh
# save-server-state CONFIG: saves settings that were made at run time (drain, maintenance, weights) for the haproxy process
# that a reload starts. The state also contains the port of a server and whether it uses TLS, and would override an edited
# CONFIG. Therefore the state of a server whose address, port or TLS was edited is omitted.
set -eu

state=/var/lib/haproxy/server-state
new=$(mktemp "$state.XXXXXX")
trap 'rm -f -- "$new"' EXIT

echo "show servers state" | socat -t 5 -T 5 /run/haproxy/admin.sock - | awk -v config="$1" '
	BEGIN {
		while ((getline line < config) > 0) {
			n = split(line, word)
			if (n >= 2 && (word[1] == "backend" || word[1] == "listen")) proxy = word[2]
			if (n < 3 || word[1] != "server") continue
			tls = 0
			for (i = 4; i <= n; i++) if (word[i] == "ssl") tls = 1
			endpoint[proxy " " word[2]] = word[3] " " tls
		}
	}
	NR == 1 || /^#/ { if (NF) print; next }
	NF >= 21 {
		address = $5 ~ /:/ ? "[" $5 "]" : $5
		if (endpoint[$2 " " $4] != address ":" $19 " " $21) next
		# INI: only checks that the new process makes count, for the agent that looks whether servers are up again.
		$11 = 1
		$22 = 0; $23 = "-"; $24 = "-"; $25 = 0
		print
	}' >"$new"

if [ -s "$new" ]; then
	chmod 0644 -- "$new"
	mv -f -- "$new" "$state"
	trap - EXIT
else
	rm -f -- "$state"
	exit 1
fi
