package machine

import (
	"testing"

	specs "github.com/hapair/hapair/internal/spec"
)

// TestSpecs checks that the specs of the long tests are valid.
func TestSpecs(t *testing.T) {
	a := &Admin{User: "ops", Key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJfEJ1Oq6JvY9wzQkJq8Yg0m7f5vP1fJm9mM3k0oXw1A ops"}
	for name, w := range map[string]wiring{"two segments": twoSegments(), "bond and VLAN": bondAndVLAN()} {
		_, problems := specs.Parse("pair.yaml", spec(w, newNodes(), a), specs.Sources{})
		for _, p := range problems {
			t.Logf("%s: %s", name, p)
		}
		if problems.HasErrors() {
			t.Errorf("%s: the spec has errors", name)
		}
	}
}
