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

// limits are resource limits for a program of this machine that reads an image, which may be hostile.
type limits struct {
	memory int64 // address space in bytes
	cpu    time.Duration
	wall   time.Duration
	file   int64 // the largest file that it may write, in bytes; devices do not count
}

// diskLimits are the limits for programs that read partition tables and file systems.
var diskLimits = limits{memory: 4 << 30, cpu: 30 * time.Minute, wall: time.Hour, file: maxDisk}

// run runs a tool within limits and returns its output. The files are its descriptors from 3 on.
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
	// Reduce the number of arenas, because each reserves 64 MiB of address space.
	cmd.Env = append(toolEnv(), "MALLOC_ARENA_MAX=2")
	cmd.Stdin, cmd.ExtraFiles = stdin, files
	out, err := output(limited, cmd)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, fmt.Errorf("%s did not finish within %v", tool, l.wall)
	case err != nil:
		return out, fmt.Errorf("%s: %w", tool, err)
	}
	return out, nil
}

// output runs a command and returns its output. An error contains the last lines of the output.
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

// outputLimit is the number of bytes of a tool's output that are kept. A tool prints far less about an intact image.
const outputLimit = 1 << 20

// head keeps the first bytes that are written to it, and discards the rest.
type head struct {
	bytes.Buffer
	limit int
}

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), h.limit-h.Len())])
	return len(p), nil
}
