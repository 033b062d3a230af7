#!/bin/sh
set -e
[ "$1" = configure ] || exit 0

# The account as which keepalived runs the check.
systemd-sysusers hapair.conf

# Only at the first installation: an operator may disable units.
[ -n "$2" ] || systemctl --quiet enable ha-agent.service hapair-revision.socket hapair-revision.service

# In a chroot nothing runs.
[ -d /run/systemd/system ] || exit 0
systemd-tmpfiles --create hapair.conf
# A container may not set them.
sysctl -q -p /etc/sysctl.d/60-hapair.conf || true
systemctl daemon-reload
# At the first installation there is no agent.yaml yet, and the agent has nothing to do. A rollout has restarted it already.
[ -z "$2" ] || [ -n "${HAPAIR_ROLLOUT-}" ] || deb-systemd-invoke restart ha-agent.service >/dev/null || true
