// Package keepalived is what the project knows of keepalived: how its configuration is written, how it is checked, how
// it tells its state, and what its versions can do.
package keepalived

import (
	"errors"

	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// Render writes a node's keepalived.conf for a version of keepalived.
func Render(s *spec.Spec, n *spec.Node, v release.Version) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// Base is the keepalived.conf of an image: valid, without identity or instance.
func Base(v release.Version) []byte { return nil }
