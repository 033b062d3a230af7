// Command timing runs commands in turn, beside a number of idle processes, and tells what each run cost. It is copied to
// where the commands are: what it costs to get there is not measured.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// Order is read from standard input.
type Order struct {
	Idle     int        // processes that do nothing
	Runs     int        // of each command
	Commands [][]string // each with its arguments
}

// Cost is of one command. Orders give costs in the order of their commands.
type Cost struct{ WallMS, CPUMS []float64 }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "timing:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var o Order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return fmt.Errorf("cannot read the order: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range o.Idle {
		idle := exec.CommandContext(ctx, "sleep", "600")
		idle.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := idle.Start(); err != nil {
			return fmt.Errorf("cannot start an idle process: %w", err)
		}
		defer func() { _ = idle.Wait() }()
	}
	defer cancel() // before it is waited for
	costs := make([]Cost, len(o.Commands))
	for range o.Runs {
		for i, argv := range o.Commands {
			if err := costs[i].add(exec.CommandContext(ctx, argv[0], argv[1:]...)); err != nil {
				return fmt.Errorf("cannot run %q: %w", argv, err)
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(costs)
}

func (c *Cost) add(cmd *exec.Cmd) error {
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return err
	}
	wall := time.Since(start)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	c.WallMS = append(c.WallMS, ms(wall))
	c.CPUMS = append(c.CPUMS, ms(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()))
	return nil
}
