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
	"github.com/hapair/hapair/internal/haproxy/syntax"
)

// maxState is the largest list of server states that is read, in bytes: that of about 200,000 servers.
const maxState = 32 << 20

// Columns of a line of `show servers state`, version 1 (management.txt, "show servers state").
const (
	stateProxy       = 1
	stateServer      = 3
	stateAddress     = 4
	stateCheck       = 10
	statePort        = 18
	stateTLS         = 20
	stateCheckPort   = 21
	stateCheckAddr   = 22
	stateAgentAddr   = 23
	stateAgentPort   = 24
	stateColumns     = stateAgentPort + 1
	leastColumns     = stateTLS + 1
	checkedByNewOnly = "1" // INI: only checks that the new process makes count, for the agent that looks whether servers are up again
)

// SaveState saves what operators set at run time for servers (drain, maintenance, weights) in a file, for the process that a reload
// of conf starts. The state also contains a server's port and whether it uses TLS, and would override an edited conf. Therefore
// the state of a server whose address, port or TLS differs from conf is left out. If haproxy does not answer, an older file is
// removed: an outdated state is worse than none.
func (s Socket) SaveState(ctx context.Context, conf, path string) error {
	answer, err := s.ask(ctx, "show servers state", maxState)
	var state []byte
	if err == nil {
		state, err = stateFor(conf, answer)
	}
	if err == nil {
		err = durable.WriteFile(path, state, 0o644, durable.Keep, durable.Keep)
	}
	if err == nil {
		return nil
	}
	if removed := os.Remove(path); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return fmt.Errorf("cannot save the states of servers: %w", err)
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
		if len(w) < leastColumns {
			continue
		}
		now := endpoint{net.JoinHostPort(w[stateAddress], w[statePort]), w[stateTLS] == "1"}
		if servers[[2]string{w[stateProxy], w[stateServer]}] != now {
			continue
		}
		if missing := stateColumns - len(w); missing > 0 {
			w = append(w, slices.Repeat([]string{"-"}, missing)...)
		}
		w[stateCheck] = checkedByNewOnly
		w[stateCheckPort], w[stateCheckAddr], w[stateAgentAddr], w[stateAgentPort] = "0", "-", "-", "0"
		fmt.Fprintln(&out, strings.Join(w, " "))
	}
	return out.Bytes(), nil
}

// endpoints returns the server lines of a configuration, by proxy and server.
func endpoints(conf string) map[[2]string]endpoint {
	all := map[[2]string]endpoint{}
	proxy := ""
	for line := range strings.Lines(conf) {
		w := words(line)
		switch {
		case len(w) == 0:
		case syntax.IsSection(w[0]):
			if proxy = ""; len(w) > 1 && (w[0] == "backend" || w[0] == "listen") {
				proxy = w[1]
			}
		case len(w) > 2 && w[0] == "server":
			all[[2]string{proxy, w[1]}] = endpoint{w[2], slices.Contains(w[3:], "ssl")}
		}
	}
	return all
}
