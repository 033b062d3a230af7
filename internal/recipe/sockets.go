package recipe

import (
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/wellknown"
)

// haproxyDefaults is the file with the environment of the packaged haproxy.service, which is read at each start.
const haproxyDefaults = "/etc/default/haproxy"

// ownSockets returns the files that make haproxy load hapair's sockets after a haproxy.cfg of the user. They need no unit or
// drop-in that systemd would have to load first, so that they also work on an older image. The package has a file with this
// name, too, which is replaced.
func ownSockets(content []byte) []File {
	path := haproxy.SocketsFile(wellknown.HAProxyConfig)
	sockets := system(path, content)
	defaults := system(haproxyDefaults, []byte("# The packaged haproxy.service reads this: the master's socket, as in the unit, and hapair's sockets. Written by bake.\n"+
		"EXTRAOPTS=\"-S /run/haproxy-master.sock -f "+path+"\"\n"))
	sockets.Package, defaults.Package = "haproxy", "haproxy"
	return []File{sockets, defaults}
}
