package haproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/durable"
)

// maxState is the largest list of server states that is read, in bytes: that of about 200,000 servers.
const maxState = 32 << 20

// Columns of a line of `show servers state`, version 1 (management.txt, "show servers state").
const (
	stateProxy     = 1
	stateServer    = 3
	stateAddress   = 4
	stateCheck     = 10
	statePort      = 18
	stateTLS       = 20
	stateCheckPort = 21 // the first of four about the port and address of checks; older versions have fewer
)

// SaveState saves what operators set at run time for servers (drain, maintenance, weights) in a file, for the process that a reload
// of config starts. The state also contains a server's port and whether it uses TLS, and would override an edited config.
// Therefore the state of a server whose address, port or TLS differs from config is left out. After an error there is no such
// file: an outdated state is worse than none.
func (s Socket) SaveState(ctx context.Context, config, path string) error {
	err := s.saveState(ctx, config, path)
	if err == nil {
		return nil
	}
	if removed := os.Remove(path); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return fmt.Errorf("cannot save the states of servers: %w", err)
}

func (s Socket) saveState(ctx context.Context, config, path string) error {
	conf, err := Read(config)
	if err != nil {
		return err
	}
	answer, err := s.ask(ctx, "show servers state", maxState)
	if err != nil {
		return err
	}
	state, err := stateFor(conf, answer)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, state, 0o644, durable.Keep, durable.Keep)
}

// endpoint is how a server is reached.
type endpoint struct {
	address string // with a port
	tls     bool
}

// stateFor returns the part of an answer to `show servers state` that a new process may take for conf.
func stateFor(conf, answer string) ([]byte, error) {
	version, lines, _ := strings.Cut(answer, "\n")
	if version != "1" {
		return nil, fmt.Errorf("haproxy's list of server states has the version %.20q, want 1", version)
	}
	servers := endpoints(conf)
	var out bytes.Buffer
	fmt.Fprintln(&out, version)
	for line := range strings.Lines(lines) {
		if strings.HasPrefix(line, "#") {
			out.WriteString(line)
			continue
		}
		w := strings.Fields(line)
		if len(w) < stateCheckPort {
			continue
		}
		now := endpoint{net.JoinHostPort(w[stateAddress], w[statePort]), w[stateTLS] == "1"}
		if servers[[2]string{w[stateProxy], w[stateServer]}] != now {
			continue
		}
		w[stateCheck] = "1" // INI: only checks that the new process makes count, for the agent that looks whether servers are up again
		w = append(w[:stateCheckPort], "0", "-", "-", "0")
		fmt.Fprintln(&out, strings.Join(w, " "))
	}
	return out.Bytes(), nil
}

// endpoints returns the server lines of a configuration, by proxy and server.
func endpoints(conf string) map[[2]string]endpoint {
	all := map[[2]string]endpoint{}
	for proxy, lines := range Backends(conf) {
		for line := range strings.Lines(lines) {
			if w := words(line); len(w) > 2 && w[0] == "server" {
				all[[2]string{proxy, w[1]}] = endpoint{w[2], slices.Contains(w[3:], "ssl")}
			}
		}
	}
	return all
}
