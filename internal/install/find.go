package install

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hapair/hapair/internal/packages"
	"github.com/hapair/hapair/internal/regular"
)

// agentName is the name of the agent's program, which is built into the directory of the programs that install it.
const agentName = "ha-agent"

// FindAgent returns the path of the agent's program for images: the named one if named is not empty, otherwise the one in the
// directory of program, such as bake, otherwise that of the package of bake, otherwise the one in PATH. The error names these places, and how to build the agent.
func FindAgent(named, program string) (string, error) {
	return findAgent(named, program, packages.AgentForImages)
}

func findAgent(named, program, installed string) (string, error) {
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
	if info, err := os.Stat(installed); err == nil && info.Mode().IsRegular() {
		return installed, nil
	}
	if path, err := exec.LookPath(agentName); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("cannot find ha-agent at %s, at %s, or in PATH: install the package %s, or %s", beside, installed, packages.BakeName, build)
}

// FileSource returns a Source that opens a file.
func FileSource(path string) Source {
	return func() (io.ReadCloser, error) { return regular.Open(path) }
}
