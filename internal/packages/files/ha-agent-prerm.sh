#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	deb-systemd-invoke stop ha-agent.service hapair-revision.socket >/dev/null || true
fi
