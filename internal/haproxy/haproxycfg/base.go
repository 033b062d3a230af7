package haproxycfg

import (
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/srcmap"
)

// Base returns the haproxy.cfg of an image: valid, without identity. It serves no clients: its only listener is the check's
// socket, so that a node that is not configured yet differs from one whose haproxy is broken.
func Base(v release.Version) []byte {
	out, err := execute(config{Version: v, LogTarget: "/dev/log", LogFacility: "local0",
		Sockets: socketLines(nil), CloseSpreadTime: v.AtLeast(2, 6, 0),
		Timeouts: defaultTimeouts(&spec.Timeouts{}), Times: defaultTimes(spec.CheckTimes{})})
	if err != nil {
		panic(err) // the template is part of the program
	}
	out, _ = srcmap.Split(out)
	return out
}
