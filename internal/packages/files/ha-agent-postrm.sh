#!/bin/sh
set -e
if [ "$1" = purge ]; then
	rm -f /etc/systemd/system/multi-user.target.wants/ha-agent.service /etc/systemd/system/multi-user.target.wants/hapair-revision.service
	rm -f /etc/systemd/system/sockets.target.wants/hapair-revision.socket
	# The account stays, because a file may still belong to it.
	rm -rf /var/lib/ha-agent /etc/ha-agent /run/ha-agent
fi
[ ! -d /run/systemd/system ] || systemctl daemon-reload
