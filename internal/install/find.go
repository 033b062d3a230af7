package install

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hapair/hapair/internal/regular"
)

// agentName is the name of the agent's program, which is built beside the programs that install it.
const agentName = "ha-agent"

// FindAgent returns the path of the agent's program that goes into images. It is the one that is named, if any; else the
// one beside a program, such as bake; else the one in PATH. The error names the places and says how to build it.
func FindAgent(named, program string) (string, error) {
	const build = "build it with: go build ./cmd/ha-agent"
	if named != "" {
		info, err := os.Stat(named)
		if err == nil && !info.Mode().IsRegular() {
			err = errors.New("it is not a regular file")
		}
		if err != nil {
			return "", fmt.Errorf("cannot use %s as ha-agent: %w; %s", named, err, build)
		}
		return named, nil
	}
	beside := filepath.Join(filepath.Dir(program), agentName)
	if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
		return beside, nil
	}
	if path, err := exec.LookPath(agentName); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("cannot find ha-agent: neither %s nor one in PATH; %s", beside, build)
}

// FileSource opens a file anew each time.
func FileSource(path string) Source {
	return func() (io.ReadCloser, error) { return regular.Open(path) }
}
