package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/spec"
)

// Limits on a node's answer.
const (
	connectTime = 10 * time.Second // for a connection, as ssh measures it
	maxAnswer   = 16 << 20         // 10,000 services have 2 MiB of steps
	maxMessages = 64 << 10
)

// unanswered is an error: why a node gave no answer, and what the user can try.
type unanswered struct{ why, try string }

func (u *unanswered) Error() string { return u.why }

// capped is a buffer with a size limit. A write beyond the limit fails, which ends the program that writes. It cannot embed
// bytes.Buffer, whose ReadFrom has no limit.
type capped struct {
	buf  bytes.Buffer
	max  int
	full bool
}

func (c *capped) Write(p []byte) (int, error) {
	if c.full = c.full || c.buf.Len()+len(p) > c.max; c.full {
		return 0, errors.New("full")
	}
	return c.buf.Write(p)
}

// run runs ha-agent on a node and decodes the JSON that it prints. Exit status 1 is also an answer.
func (v *verifier) run(ctx context.Context, n *spec.Node, into any, args ...string) error {
	address := n.Addresses[0].Addr.String()
	ssh := []string{"-o", "BatchMode=yes", "-o", fmt.Sprintf("ConnectTimeout=%d", int(connectTime.Seconds()))}
	if v.sshConfig != "" {
		ssh = append(ssh, "-F", v.sshConfig)
	}
	if v.user != "" {
		ssh = append(ssh, "-l", v.user)
	}
	ssh = append(ssh, "--", address, "sudo", "-n", "ha-agent")
	cmd := exec.CommandContext(ctx, "ssh", append(ssh, args...)...)
	stdout, stderr := &capped{max: maxAnswer}, &capped{max: maxMessages}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	// A master process of ssh's ControlPersist keeps running and keeps the output open.
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	name := fmt.Sprintf("%s (%s)", n.Name, address)
	switch {
	case ctx.Err() != nil:
		return v.silent(ctx, name, address)
	case stdout.full || stderr.full:
		return &unanswered{fmt.Sprintf("cannot use the answer of %s: it is longer than %d MiB", name, maxAnswer>>20), "look at the output of `sudo ha-agent " + args[0] + "` there"}
	case err != nil && !errors.Is(err, exec.ErrWaitDelay) && !(cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == exitstatus.No && stdout.buf.Len() > 0):
		return v.failed(err, name, address, args[0], stderr.buf.String())
	}
	if err := json.Unmarshal(stdout.buf.Bytes(), into); err != nil {
		return &unanswered{fmt.Sprintf("cannot use the answer of %s: the output of ha-agent %s is not the JSON that this version of bake expects: %v", name, args[0], err),
			"install the same version of ha-agent there"}
	}
	return nil
}

// silent returns the error for a node that did not answer in time, or whose query was interrupted.
func (v *verifier) silent(ctx context.Context, name, address string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &unanswered{fmt.Sprintf("cannot reach %s: no answer within %s", name, seconds(v.timeout)), v.tryToReach(address)}
	}
	return &unanswered{why: fmt.Sprintf("cannot ask %s: interrupted", name)}
}

// failed turns the messages of ssh, sudo or ha-agent into an error with advice.
func (v *verifier) failed(err error, name, address, command, messages string) error {
	said := lastMessage(messages)
	var exit *exec.ExitError
	switch {
	case !errors.As(err, &exit):
		return &unanswered{fmt.Sprintf("cannot run ssh to reach %s: %v", name, err), "install it: apt-get install openssh-client"}
	case exit.ExitCode() != 255: // ssh connected, so the status is that of the command
		try := "log in to the node and run `sudo ha-agent " + command + "`"
		if strings.Contains(said, "sudo:") && strings.Contains(said, "password") {
			try = "allow sudo without a password for the login (in the spec: access.users, sudo: true), or name another login with --user"
		}
		if said == "" {
			said = err.Error()
		}
		return &unanswered{fmt.Sprintf("cannot run ha-agent %s on %s: %s", command, name, said), try}
	case strings.Contains(strings.ToLower(said), "timed out"):
		return &unanswered{fmt.Sprintf("cannot reach %s: no answer within %s", name, seconds(connectTime)), v.tryToReach(address)}
	case strings.Contains(said, "Permission denied"):
		return &unanswered{fmt.Sprintf("cannot log in to %s: %s", name, said), "name the login with --user, and check that ssh-agent or --ssh-config has its key"}
	case strings.Contains(said, "Host key"):
		return &unanswered{fmt.Sprintf("cannot trust %s: %s", name, said), "log in once manually to compare the host key: " + v.byHand(address)}
	case said == "":
		said = "ssh failed without a message"
	}
	return &unanswered{fmt.Sprintf("cannot reach %s: %s", name, said), v.tryToReach(address)}
}

func (v *verifier) tryToReach(address string) string {
	return fmt.Sprintf("check that the node runs and that %s works from here (ping %s)", v.byHand(address), address)
}

func (v *verifier) byHand(address string) string {
	words := []string{"`ssh"}
	if v.sshConfig != "" {
		words = append(words, "-F", v.sshConfig)
	}
	if v.user != "" {
		words = append(words, "-l", v.user)
	}
	return strings.Join(append(words, address+"`"), " ")
}

// lastMessage returns the last line of ssh's messages. Earlier lines may be the node's banner.
func lastMessage(messages string) string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(messages, "\r", "")), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	return strings.TrimSuffix(strings.TrimPrefix(last, "ha-agent: "), ".")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%g s", d.Seconds()) }
