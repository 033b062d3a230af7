package maintenance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/check"
	"github.com/hapair/hapair/internal/agent/vip"
	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/poll"
)

// A planned handover must not take a VIP off this node before a peer has it. A peer does not advertise whether it could take
// one: in BACKUP it sends nothing, and in FAULT neither. So this node lets VRRP decide. Its priority falls below all others,
// and it sends a priority-0 advertisement while its keepalived stays MASTER. A peer in BACKUP takes over after its skew time,
// also with nopreempt. The peer's first advertisement has the higher priority, and this node yields to it. A peer in FAULT
// does not react, and this node is still MASTER.

// listener receives the advertisements of other machines for an instance.
type listener interface {
	Heard() bool
	Close() error
}

// leaver is an instance that is handed over.
type leaver struct {
	keepalived.Instance
	next time.Time // when it sends the next priority-0 advertisement

	// ear receives the advertisements of the peers of an instance whose priority cannot be lowered. A peer that takes over
	// yields to this node at once, but has shown that it can serve: then the VIPs can be given away.
	ear   listener
	heard bool
}

// weakTime is the time limit for keepalived to read the file with the lower priority.
const weakTime = 20 * time.Millisecond

// handOver makes peers take over the VIPs that this node holds. It returns the reason why they do not.
func (m *Service) handOver(ctx context.Context) error {
	file := m.Runs()
	words := weakening(file, m.Track)
	if err := m.Weaken(words); err != nil {
		return err
	}
	all, err := m.leavers(file, words)
	defer func() {
		for _, l := range all {
			if l.ear != nil {
				l.ear.Close()
			}
		}
	}()
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, m.patience())
	defer cancel()
	give := false
	err = poll.Until(wait, 5*time.Millisecond, func() (bool, error) {
		held, err := m.addresses()
		if err != nil {
			return false, err
		}
		give = false
		var waits []string
		for _, l := range all {
			on := vip.OfInstance(l.Instance, held)
			if len(on) == 0 {
				continue
			}
			if l.ready() {
				give = true
				continue
			}
			waits = append(waits, on[0].Address.String())
			err = errors.Join(err, m.resigns(l))
		}
		if len(waits) > 0 {
			return false, errors.Join(fmt.Errorf("no peer takes over %s", strings.Join(waits, ", ")), err)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if give {
		if err := m.Give(check.ErrMaintenance); err != nil {
			return err
		}
	}
	return m.given(ctx, false)
}

// leavers returns the instances of a file. Those whose priority cannot be lowered have a listener each.
func (m *Service) leavers(file keepalived.File, words map[string]string) ([]*leaver, error) {
	var all []*leaver
	for _, in := range file.Instances {
		l := &leaver{Instance: in, next: time.Now().Add(weakTime)}
		all = append(all, l)
		if _, ok := words[in.Name]; ok {
			continue
		}
		var err error
		if l.ear, err = m.listen(in); err != nil {
			l.ear = nil
			return all, err
		}
	}
	return all, nil
}

// ready reports whether an instance can be given away, because a peer has shown that it takes over.
func (l *leaver) ready() bool {
	l.heard = l.heard || l.ear != nil && l.ear.Heard()
	return l.heard
}

// resigns sends a priority-0 advertisement when one is due. keepalived's own advertisement may follow within the peers' skew
// time, and then they stay BACKUP. The intervals between the tries grow by the golden ratio, so that they do not stay in phase
// with keepalived's, and they are longer than any skew time.
func (m *Service) resigns(l *leaver) error {
	now := time.Now()
	if now.Before(l.next) {
		return nil
	}
	l.next = now.Add(l.AdvertInt * 1618 / 1000)
	return m.resign(l.Instance)
}

// weakening returns, for each instance, the value of its holder's file that lowers its priority to 1. keepalived multiplies the
// value by the file's weight, and -254 would mean FAULT (keepalived.conf(5), track_file).
func weakening(file keepalived.File, track string) map[string]string {
	words := map[string]string{}
	for _, in := range file.Instances {
		path := keepalived.HolderFile(track, in.Name)
		for name, f := range file.TrackFiles {
			if f.Path != path || f.Weight <= 0 || f.Weight > 253 || !slices.Contains(in.TrackFiles, name) {
				continue
			}
			if _, err := os.Stat(path); err == nil {
				words[in.Name] = fmt.Sprintf("%d\n", -(253 / f.Weight))
			}
		}
	}
	return words
}

// whereabouts describes which of the VIPs this node holds now.
func (m *Service) whereabouts() string {
	held, err := m.addresses()
	if err != nil {
		return err.Error()
	}
	var here, away []string
	for _, v := range m.VIPs {
		on, missing := vip.Of(v, held)
		for _, a := range on {
			here = append(here, a.String())
		}
		for _, a := range missing {
			away = append(away, a.String())
		}
	}
	switch {
	case len(here) == 0:
		return "this node is not in maintenance, and holds no virtual IP"
	case len(away) == 0:
		return "the virtual IPs stay here"
	}
	return fmt.Sprintf("this node is not in maintenance, and holds %s but not %s", strings.Join(here, ", "), strings.Join(away, ", "))
}
