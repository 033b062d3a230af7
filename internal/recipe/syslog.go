package recipe

import (
	"fmt"
	"net/netip"

	"github.com/hapair/hapair/internal/wellknown"
)

// syslog makes rsyslog listen for haproxy's log on the node's own address, and nowhere else. What comes in goes to
// haproxy's file alone, which the package rotates: nobody can write to the machine's own log that way. The address may
// not be up yet when rsyslog starts: ip_nonlocal_bind lets it bind all the same.
func syslog(addr netip.AddrPort) File {
	return system(wellknown.SyslogConfig, fmt.Appendf(nil, `# haproxy's log, sent by UDP to this node's own address
module(load="imudp")
ruleset(name="hapair") {
    action(type="omfile" file="/var/log/haproxy.log" fileGroup="adm" fileCreateMode="0640")
}
input(type="imudp" address="%s" port="%d" ruleset="hapair")
`, addr.Addr(), addr.Port()))
}
