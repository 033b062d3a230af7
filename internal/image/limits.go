package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/termsafe"
)

// limits of a program of this machine that reads an image, which may be hostile.
type limits struct {
	memory int64 // address space in bytes
	cpu    time.Duration
	wall   time.Duration
	file   int64 // the largest file that it may write, in bytes; devices are not files
}

// diskLimits are for programs that read partition tables and file systems.
var diskLimits = limits{memory: 4 << 30, cpu: 30 * time.Minute, wall: time.Hour, file: maxDisk}

// run runs a tool within limits and returns what it printed. The files are its descriptors 3 and following.
func (l limits) run(ctx context.Context, stdin io.Reader, files []*os.File, tool string, args ...string) ([]byte, error) {
	prlimit, err := lookTool("prlimit")
	if err != nil {
		return nil, err
	}
	path, err := lookTool(tool)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, l.wall)
	defer cancel()
	cmd := exec.CommandContext(limited, prlimit, append([]string{fmt.Sprintf("--as=%d", l.memory),
		fmt.Sprintf("--cpu=%d", int(l.cpu.Seconds())), fmt.Sprintf("--fsize=%d", l.file), "--core=0", "--", path}, args...)...)
	// Fewer arenas: each reserves 64 MiB of address space.
	cmd.Env = append(toolEnv(), "MALLOC_ARENA_MAX=2")
	cmd.Stdin, cmd.ExtraFiles = stdin, files
	out, err := output(limited, cmd)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, fmt.Errorf("%s has not ended within %v", tool, l.wall)
	case err != nil:
		return out, fmt.Errorf("%s: %w", tool, err)
	}
	return out, nil
}

// output runs a command; its error ends with the last lines that it printed.
func output(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	stdout, stderr := &head{limit: outputLimit}, &head{limit: outputLimit}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		said := strings.TrimSpace(termsafe.Text(stderr.String()))
		if said == "" {
			said = exit.String()
		}
		return stdout.Bytes(), errors.New(said)
	}
	return stdout.Bytes(), err
}

// outputLimit is how much of what a tool prints is kept: far more than any has to say of a sound image.
const outputLimit = 1 << 20

// head keeps the first bytes that are written to it, and takes the rest without keeping it.
type head struct {
	bytes.Buffer
	limit int
}

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), h.limit-h.Len())])
	return len(p), nil
}
