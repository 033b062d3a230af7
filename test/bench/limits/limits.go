// Package limits measures how long a holder may be paused, and how busy its processors may be, before the virtual IP moves
// unnecessarily.
package limits

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hapair/hapair/internal/keepalived"
	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/test/cluster"
)

// Result is the result for a cluster with its advert_int.
type Result struct {
	AdvertInt time.Duration
	Pauses    []Pause
	Load      Load
}

// Pause has the results of several pauses of the same length: how often the virtual IP moved.
type Pause struct {
	Adverts      float64 // length in advertisement intervals
	Tries, Moved int
}

// Load has the results of a time in which endless programs ran on the holder: how often the virtual IP moved, and the
// longest time between two answers for a client that sends a request every 10 ms.
type Load struct {
	Programs int
	Lasted   time.Duration
	Moves    int
	Gap      time.Duration
}

const (
	tries    = 5
	programs = 6
	loadTime = 10 * time.Second
	patience = 5 * time.Second // of the client under load
)

// lengths returns the lengths of the pauses, in advertisement intervals. A backup waits for three intervals and the skew
// time.
func lengths() []float64 { return []float64{1, 1.5, 2, 2.5, 3, 3.5, 4} }

// Measure measures the limits of a running cluster, with a client that requests url. Each of 35 pauses takes about six
// intervals, and the load takes 12 s: about a minute at 250 ms.
func Measure(ctx context.Context, c *cluster.Cluster, url string) (Result, error) {
	m := &meter{Cluster: c}
	holder, err := m.holder(ctx, time.Second)
	if err != nil {
		return Result{}, err
	}
	if m.advert, err = advertInt(holder); err != nil {
		return Result{}, err
	}
	r := Result{AdvertInt: m.advert}
	for _, adverts := range lengths() {
		p := Pause{Adverts: adverts, Tries: tries}
		for try := range tries {
			moved, err := m.pause(ctx, adverts, float64(try)/tries)
			if err != nil {
				return r, fmt.Errorf("cannot measure a pause of %v advertisements: %w", adverts, err)
			}
			if moved {
				p.Moved++
			}
		}
		r.Pauses = append(r.Pauses, p)
	}
	if r.Load, err = m.load(ctx, url); err != nil {
		err = fmt.Errorf("cannot measure under load: %w", err)
	}
	return r, err
}

// meter is a measurement in progress.
type meter struct {
	*cluster.Cluster
	advert time.Duration
}

// advertInt returns the advert_int of a node's first instance.
func advertInt(h *lab.Host) (time.Duration, error) {
	data, err := h.ReadFile("/etc/keepalived/keepalived.conf")
	if err != nil {
		return 0, err
	}
	instances := keepalived.Read(data).Instances
	if len(instances) == 0 {
		return 0, fmt.Errorf("keepalived.conf of %s has no instance", h.Name)
	}
	return instances[0].AdvertInt, nil
}

// holder returns the host that has been the only holder for a time.
func (m *meter) holder(ctx context.Context, settled time.Duration) (*lab.Host, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	name, err := m.Holders.WaitOne(ctx, settled)
	return m.Nodes[name], err
}

// pause pauses the holder. The pause begins at a phase, from 0 to 1, of the interval between two advertisements; the holder
// sends one as soon as it is resumed.
func (m *meter) pause(ctx context.Context, adverts, phase float64) (moved bool, err error) {
	holder, err := m.holder(ctx, m.adverts(max(2, float64(200*time.Millisecond/m.advert))+phase))
	if err != nil {
		return false, err
	}
	began := time.Now()
	if err := holder.Pause(); err != nil {
		return false, err
	}
	<-time.After(m.adverts(adverts) - time.Since(began))
	if err := holder.Resume(); err != nil {
		return false, err
	}
	_, err = m.holder(ctx, m.adverts(1)) // a backup may notice it one interval later
	return m.moves(began) > 0, err
}

func (m *meter) adverts(n float64) time.Duration { return time.Duration(n * float64(m.advert)) }

// moves returns how often a node has taken the virtual IP since a time.
func (m *meter) moves(since time.Time) int {
	n := 0
	for _, s := range m.Holders.Spans() {
		if s.From.After(since) {
			n++
		}
	}
	return n
}

func (m *meter) load(ctx context.Context, url string) (Load, error) {
	holder, err := m.holder(ctx, time.Second)
	if err != nil {
		return Load{}, err
	}
	stop, err := cluster.Burn(ctx, holder, programs)
	if err != nil {
		return Load{}, err
	}
	began := time.Now()
	watch := m.Client.WatchFresh(ctx, url, 10*time.Millisecond, patience)
	<-time.After(loadTime)
	seen := watch.Stop()
	l := Load{programs, time.Since(began).Round(time.Second), m.moves(began), seen.Longest.Duration()}
	return l, errors.Join(stop(ctx), ctx.Err())
}
