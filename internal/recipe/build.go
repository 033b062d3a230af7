package recipe

import (
	"errors"

	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// Image computes what every node of the spec has in common: packages, users, agent, units, sysctls, base configs. It
// has no identity and no secret.
func Image(s *spec.Spec, r release.Release) (Recipe, error) {
	return Recipe{}, errors.ErrUnsupported
}

// Node computes what makes an image that node: host name, haproxy.cfg, keepalived.conf, agent.yaml, network, logins.
func Node(s *spec.Spec, n *spec.Node, r release.Release) (Recipe, error) {
	return Recipe{}, errors.ErrUnsupported
}

// Merge is what a stock machine needs to become that node: the image's recipe with the node's over it.
func Merge(image, node Recipe) Recipe { return Recipe{} }
