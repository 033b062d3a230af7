package drill

import "github.com/hapair/hapair/internal/spec"

// Check returns why a valid spec cannot be drilled, or nil.
func Check(s *spec.Spec) error {
	_, err := newPlan(s)
	return err
}
