package haproxycfg

import (
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
	"github.com/hapair/hapair/internal/srcmap"
)

// Base is the haproxy.cfg of an image: valid, without identity. It serves nobody: its only listener is the socket that
// the check asks, so that an image whose node has not been configured yet can be told from one whose haproxy is broken.
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
