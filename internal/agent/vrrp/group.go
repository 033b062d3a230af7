package vrrp

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/hapair/hapair/internal/agent/poll"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
)

// GroupResigner announces that instances of a vrrp_sync_group have left MASTER for FAULT. keepalived 2.2.4 to 2.3.4 sends an
// advertisement of priority 0 only for the instance that could not stay (vrrp_sync.c, vrrp_sync_fault), and a peer takes none
// over before it may take all: it would wait for three advertisements of the others.
type GroupResigner struct {
	Runs      func() keepalived.File // the configuration that keepalived runs on
	Addresses func() ([]vip.Held, error)
	Resign    func(keepalived.Instance) error // sends an advertisement of priority 0
	Log       *slog.Logger
}

// removeTime is how long keepalived may take to remove the addresses of an instance that it says is in FAULT.
const removeTime = 200 * time.Millisecond

// errHeld is why an instance is not announced.
var errHeld = errors.New("an address of it is still here")

// Left announces an instance that keepalived said has left MASTER for FAULT, if it is in a group.
func (r GroupResigner) Left(name string) {
	file := r.Runs()
	i := slices.IndexFunc(file.Instances, func(in keepalived.Instance) bool { return in.Name == name })
	if i < 0 || !slices.Contains(file.Grouped, name) {
		return
	}
	in := file.Instances[i]
	ctx, cancel := context.WithTimeout(context.Background(), removeTime)
	defer cancel()
	err := poll.Until(ctx, 2*time.Millisecond, func() (bool, error) {
		held, err := r.Addresses()
		if err != nil {
			return true, err
		}
		if len(vip.OfInstance(in, held)) > 0 {
			return false, errHeld
		}
		return true, r.Resign(in)
	})
	if err != nil {
		r.Log.Warn("cannot announce that an instance of a group is in FAULT", "instance", name, "error", err)
	}
}
