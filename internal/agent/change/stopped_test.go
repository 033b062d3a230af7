package change

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/hapair/hapair/internal/agent/journal"
	"github.com/hapair/hapair/internal/agent/store"
	"github.com/hapair/hapair/internal/agent/target"
)

// leaving is a service that is stopped after it was ready.
type leaving struct {
	*service
	left bool
}

func (l *leaving) Take(ctx context.Context, changed time.Time) error {
	if l.left {
		return target.ErrNotRunning
	}
	return l.service.Take(ctx, changed)
}

// If a service is restarted while its files are loaded, the result is no verdict on the files, neither on an edit nor on the
// first files of a node.
func TestServiceStoppedMeanwhileGivesNoVerdict(t *testing.T) {
	for name, first := range map[string]bool{"an edit": false, "the first files": true} {
		t.Run(name, func(t *testing.T) {
			bn := newBench(t)
			l := &leaving{bn.a, true}
			bn.targets[0].Target = l
			if first {
				bn.Changer.store, _ = store.Open(filepath.Join(t.TempDir(), "new"))
				bn.targets[0].phase, bn.targets[0].runs = fresh, ""
			}
			bn.write(bn.a, "a2")
			if ch, err := bn.round(); ch != nil || !errors.Is(err, ErrNoVerdict) {
				t.Fatalf("round = %+v, %v; want no verdict", ch, err)
			}
			if bn.a.text() != "a2" || bn.aside(bn.a) != nil {
				t.Errorf("the file contains %q, and files set aside %v; want a2, and none", bn.a.text(), bn.aside(bn.a))
			}
			l.left = false
			bn.expect(journal.Proven, "a")
		})
	}
}
