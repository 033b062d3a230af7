// Command timing runs commands alternately while a number of idle processes exist, and prints the cost of each run. It is
// copied to the host of the commands, so that the cost of reaching the host is not measured.
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

// Order is the input, read from standard input.
type Order struct {
	Idle     int        // number of idle processes
	Runs     int        // number of runs of each command
	Commands [][]string // each with its arguments
}

// Cost is the cost of one command. The output is a list of costs in the order of the commands.
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
	defer cancel() // before the wait
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
