package recipe

import (
	"github.com/hapair/hapair/internal/haproxy"
	"github.com/hapair/hapair/internal/wellknown"
)

// haproxyDefaults is the environment of the packaged haproxy.service, which reads it whenever it starts haproxy.
const haproxyDefaults = "/etc/default/haproxy"

// ownSockets make haproxy load a file with hapair's sockets after a haproxy.cfg of the user's own. They need no unit or
// drop-in that systemd had to load first, so that they work on an image that was baked without them. The package has a
// file of this name, too, which ours must replace.
func ownSockets(content []byte) []File {
	path := haproxy.SocketsFile(wellknown.HAProxyConfig)
	sockets := system(path, content)
	defaults := system(haproxyDefaults, []byte("# The packaged haproxy.service reads this: the master's socket, as in the unit, and hapair's sockets. Written by bake.\n"+
		"EXTRAOPTS=\"-S /run/haproxy-master.sock -f "+path+"\"\n"))
	sockets.Package, defaults.Package = "haproxy", "haproxy"
	return []File{sockets, defaults}
}
