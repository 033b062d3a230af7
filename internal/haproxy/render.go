// Package haproxy is what the project knows of haproxy: how its configuration is written, how it is checked, how its
// sockets are spoken to, and what its versions can do.
package haproxy

import (
	"errors"

	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// Render writes a node's haproxy.cfg for a version of haproxy.
func Render(s *spec.Spec, n *spec.Node, v release.Version) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// Base is the haproxy.cfg of an image: valid, without identity.
func Base(v release.Version) []byte { return nil }
