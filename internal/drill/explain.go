package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/lab"
)

// Times at which the drill shows what it waits for.
const (
	explainAfter = 2 * time.Second // on a terminal, continuously after this time
	explainEvery = time.Second
	tellAfter    = 10 * time.Second // as a line after this time, and then each time after three times as long
	askNode      = 3 * time.Second  // time limit for a node's answer
)

// explain shows the error of check repeatedly while the drill waits for check to succeed. The returned function stops it.
func (c *Cluster) explain(ctx context.Context, check func() error) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		began, next := time.Now(), tellAfter
		for pause(ctx, explainAfter); ctx.Err() == nil; pause(ctx, explainEvery) {
			causes := c.causes(ctx, check)
			if ctx.Err() != nil {
				return
			}
			c.live.because(causes)
			if waited := time.Since(began); waited >= next && len(causes) > 0 {
				c.Tell(fmt.Sprintf("waiting for %.0f s: %s", waited.Seconds(), strings.Join(causes, "; ")))
				next *= 3
			}
		}
	}()
	return func() {
		cancel()
		<-done
		c.live.because(nil)
	}
}

// causes returns the error of check, and what each node lacks.
func (c *Cluster) causes(ctx context.Context, check func() error) []string {
	ctx, cancel := context.WithTimeout(ctx, askNode)
	defer cancel()
	nodes := make([]string, len(c.hosts))
	var wg sync.WaitGroup
	for i, h := range c.hosts {
		wg.Go(func() {
			if err := c.lacks(ctx, h); err != nil {
				nodes[i] = strings.TrimSpace(err.Error())
			}
		})
	}
	wg.Wait()
	var out []string
	if err := check(); err != nil {
		out = append(out, err.Error())
	}
	return append(out, slices.DeleteFunc(nodes, func(s string) bool { return s == "" })...)
}

// lacks returns the reason why a node cannot hold the VIPs.
func (c *Cluster) lacks(ctx context.Context, h *lab.Host) error {
	if !h.On() {
		return errors.New(h.Name + " is off")
	}
	err := c.ready(ctx, h)
	if err != nil && ctx.Err() != nil {
		return errors.New(h.Name + " does not answer")
	}
	return err
}
