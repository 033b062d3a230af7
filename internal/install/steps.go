package install

import (
	"context"

	"github.com/hapair/hapair/internal/recipe"
)

// Image lists the steps that carry an image's recipe out. The agent is what goes to r.Agent; it may be nil where the
// recipe has none. Seal is to follow.
func Image(r recipe.Recipe, agent Source) []Step { return nil }

// Seal lists the steps that take away whatever must not be shared by two machines of one image, and then check that it is
// gone.
func Seal() []Step { return nil }

// Do carries steps out, one after the other. The first that fails ends it, with the last lines that it printed; what
// the steps want undone is undone then.
func Do(ctx context.Context, m Machine, steps []Step, report Report) error { return nil }
