package trial

import (
	"context"
	"fmt"
	"time"

	"github.com/hapair/hapair/internal/advert"
	"github.com/hapair/hapair/internal/effect"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/neighbor"
	"github.com/hapair/hapair/internal/poll"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/wellknown"
)

// Nodes whose keepalived.conf differ in what an advertisement must have, such as the virtual router ID, do not hear each other:
// each would hold the virtual IPs. So a revision that changes it parts the nodes until the last one has it. All others leave the
// service before they apply it, and come back when they hear the one that holds the virtual IPs, or when no machine holds them. The
// same rule works on the way back, and if a node dies in between.

// parted reports whether this node must be in maintenance until the others have the same keepalived.conf.
func (a *application) parted() bool { return a.effects.parts && !a.last }

// partedBy reports whether nodes with two contents do not hear each other.
func partedBy(a, b revision.Content) bool {
	before, _ := a.File(wellknown.KeepalivedConfig)
	after, _ := b.File(wellknown.KeepalivedConfig)
	return effect.Parts(before.Data, after.Data)
}

// Times of reunited.
const (
	heardMargin = 300 * time.Millisecond // more than three intervals of advertisements
	answerTime  = 150 * time.Millisecond
	unheldTime  = 2 * time.Second // longer than a node that takes its new keepalived.conf holds no virtual IP
)

// reunited returns the reason why this node must not come back into service on its keepalived.conf: another machine holds a
// virtual IP, and is not heard.
func reunited(ctx context.Context) error {
	f, err := onDisk(wellknown.KeepalivedConfig)
	if err != nil {
		return err
	}
	for _, in := range keepalived.Read(f.Data).Instances {
		if err := reunitedWith(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

func reunitedWith(ctx context.Context, in keepalived.Instance) error {
	ear, err := advert.Listen(in)
	if err != nil {
		return err
	}
	defer ear.Close()
	heard, cancel := context.WithTimeout(ctx, max(3*in.AdvertInt+heardMargin, unheldTime))
	defer cancel()
	var holder error
	if poll.Until(heard, 10*time.Millisecond, func() (bool, error) {
		if holder == nil {
			holder = heldBy(heard, in)
		}
		return ear.Heard(), nil
	}) == nil {
		return nil
	}
	return holder
}

// heldBy returns an error that names the machine that answers for a VIP, or nil.
func heldBy(ctx context.Context, in keepalived.Instance) error {
	for _, v := range in.VIPs {
		actx, cancel := context.WithTimeout(ctx, answerTime)
		who, err := neighbor.Ask(actx, v.Interface, v.Address.Addr())
		cancel()
		if err == nil && len(who) > 0 {
			return fmt.Errorf("%v holds %v, and is not heard: it has other parameters of VRRP", who[0], v.Address.Addr())
		}
	}
	return nil
}
