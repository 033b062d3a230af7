package recipe

import (
	"fmt"
	"net/netip"

	"github.com/hapair/hapair/internal/wellknown"
)

// syslog returns the configuration that makes rsyslog listen for haproxy's log on the node's own address. Received messages are
// written only to haproxy's file, which the package rotates, so that other machines cannot write to the node's own log.
// ip_nonlocal_bind allows rsyslog to bind an address that is not up yet.
func syslog(addr netip.AddrPort) File {
	return system(wellknown.SyslogConfig, fmt.Appendf(nil, `# haproxy's log, sent by UDP to this node's own address
module(load="imudp")
ruleset(name="hapair") {
    action(type="omfile" file="/var/log/haproxy.log" fileGroup="adm" fileCreateMode="0640")
}
input(type="imudp" address="%s" port="%d" ruleset="hapair")
`, addr.Addr(), addr.Port()))
}
