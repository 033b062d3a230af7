package judge

import (
	"context"
	"fmt"
	"io"

	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/release"
	"github.com/hapair/hapair/internal/spec"
)

// Step is the last step of an image's recipe before it is sealed: the image's own daemons test the configuration of every node.
// Refusals are returned as diag.Problems.
func Step(s *spec.Spec, r release.Release) install.Step {
	return install.Step{Name: "test the configuration of every node", Run: func(ctx context.Context, m install.Machine, out io.Writer) error {
		problems, err := Image(ctx, m.Run, s, r)
		if err != nil {
			return err
		}
		if !problems.HasErrors() {
			for _, p := range problems {
				fmt.Fprintln(out, p)
			}
		}
		return problems.Err()
	}}
}
