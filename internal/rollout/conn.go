package rollout

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hapair/hapair/internal/packages"
	"github.com/hapair/hapair/internal/remote"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/wellknown"
)

// Conn asks one node. It is safe for concurrent use: requests wait for each other.
type Conn interface {
	// Ask sends a request to the node's agent and returns its response.
	Ask(ctx context.Context, req revision.Request) (revision.Response, error)
	// Close ends the connection. A request that is under way fails.
	Close()
}

// Program is the agent's program that bake brings to the nodes.
type Program struct {
	Digest string
	Data   []byte
	// Package makes the Debian package with the program, once, for nodes that have the agent from one.
	Package func() ([]byte, error)
}

// NewProgram returns a program of the agent.
func NewProgram(data []byte) Program {
	return Program{Digest: revision.Sum(data), Data: data, Package: sync.OnceValues(func() ([]byte, error) { return packages.AgentFile(data) })}
}

// sshConn is a Conn over ssh, which is opened anew if it breaks.
type sshConn struct {
	login   *remote.Login
	host    remote.Host
	program Program

	mu      sync.Mutex
	session *remote.Session
	bring   bool // go on with the program: set once the rollout begins
	packed  bool // the node has the program's package, or needs none
}

// SSH returns a connection to a node over ssh. Nothing happens before the first request.
func SSH(l *remote.Login, h remote.Host, p Program) Conn {
	return &sshConn{login: l, host: h, program: p}
}

// Limits of a request.
const (
	askTime   = 3 * time.Minute // staging tests all files
	retryTime = 15 * time.Second
)

// Ask sends a request. All requests may be sent again: if the connection breaks, it is opened anew.
func (c *sshConn) Ask(ctx context.Context, req revision.Request) (revision.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if req.Op == revision.OpAgent && !c.bring {
		c.bring = true
		c.close()
	}
	began := time.Now()
	for {
		resp, err := c.once(ctx, req)
		if err == nil && resp.Error != "" {
			return resp, fmt.Errorf("%s: %s", c.host.Name, resp.Error)
		}
		if err == nil || ctx.Err() != nil || time.Since(began) > retryTime || req.Op == revision.OpShow {
			return resp, err
		}
		c.close()
		select {
		case <-ctx.Done():
			return resp, err
		case <-time.After(time.Second):
		}
	}
}

func (c *sshConn) once(ctx context.Context, req revision.Request) (resp revision.Response, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if c.session == nil {
		if err := c.open(ctx); err != nil {
			return resp, err
		}
	}
	if req.Op == revision.OpAgent {
		return resp, c.pack(ctx) // open has brought the program
	}
	err = c.session.Ask(ctx, req, &resp)
	if err != nil {
		c.session.Close()
		c.session = nil
	}
	return resp, err
}

// open connects. A node whose agent knows no revisions yet gets the program that does.
func (c *sshConn) open(ctx context.Context) error {
	s, err := c.login.Open(c.host, "ha-agent", "revision", "serve")
	if err != nil {
		return err
	}
	var resp revision.Response
	err = s.Ask(ctx, revision.Request{Op: revision.OpShow}, &resp)
	if err == nil && c.bring && resp.Show != nil && resp.Show.Agent != c.program.Digest {
		// It goes on as the program that it gets.
		err = s.Ask(ctx, revision.Request{Op: revision.OpAgent, Program: c.program.Data}, &resp)
		if err == nil && resp.Error != "" {
			err = fmt.Errorf("cannot bring the agent to %s: %s", c.host.Name, resp.Error)
		}
	}
	if err == nil {
		c.session = s
		return nil
	}
	s.Close()
	if strings.Contains(err.Error(), "unknown command") {
		return c.openProgram(ctx)
	}
	return err
}

// pack brings the program's package to a node whose dpkg has recorded another program.
func (c *sshConn) pack(ctx context.Context) error {
	if c.packed {
		return nil
	}
	var resp revision.Response
	if err := c.session.Ask(ctx, revision.Request{Op: revision.OpShow}, &resp); err != nil {
		return err
	}
	sum := md5.Sum(c.program.Data)
	if resp.Show != nil && resp.Show.Recorded != "" && resp.Show.Recorded != hex.EncodeToString(sum[:]) {
		data, err := c.program.Package()
		if err != nil {
			return err
		}
		err = c.session.Ask(ctx, revision.Request{Op: revision.OpPackage, Package: data, Digest: c.program.Digest}, &resp)
		if err == nil && resp.Error != "" {
			err = fmt.Errorf("cannot bring the package of the agent to %s: %s", c.host.Name, resp.Error)
		}
		if err != nil {
			return err
		}
	}
	c.packed = true
	return nil
}

// openProgram has bake's own program of the agent answer, which need not be the node's. It brings it if it does not answer.
func (c *sshConn) openProgram(ctx context.Context) error {
	path := wellknown.Revisions + "/agents/" + c.program.Digest
	for _, brought := range []bool{false, true} {
		s, err := c.login.Open(c.host, path, "revision", "serve")
		if err != nil {
			return err
		}
		var resp revision.Response
		err = s.Ask(ctx, revision.Request{Op: revision.OpShow}, &resp)
		if err == nil {
			c.session = s
			return nil
		}
		s.Close()
		// Whatever the reason is, the program is brought (again) once: sudo reports a missing program in its user's language, and on
		// jammy as a missing password.
		if brought || ctx.Err() != nil {
			return err
		}
		if err := c.upload(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

// uploadScript keeps standard input as a program, whole or not at all.
const uploadScript = `set -eu
umask 077
mkdir -p %[1]s
cat >%[2]s.new
echo "%[3]s  %[2]s.new" | sha256sum --check --quiet
chmod 700 %[2]s.new
mv -f %[2]s.new %[2]s
`

func (c *sshConn) upload(ctx context.Context, path string) error {
	if len(c.program.Data) == 0 {
		return errors.New("cannot bring the agent to " + c.host.Name + ": there is none")
	}
	return c.login.Shell(ctx, c.host, io.Reader(strings.NewReader(string(c.program.Data))),
		fmt.Sprintf(uploadScript, wellknown.Revisions+"/agents", path, c.program.Digest))
}

func (c *sshConn) close() {
	if c.session != nil {
		c.session.Close()
		c.session = nil
	}
}

// Close ends the connection.
func (c *sshConn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close()
}
