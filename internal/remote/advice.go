package remote

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// String returns the name and address, for messages.
func (h Host) String() string { return fmt.Sprintf("%s (%s)", h.Name, h.Address) }

// silent returns the error for a node that did not answer in time, or whose query was interrupted.
func (l *Login) silent(ctx context.Context, h Host) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{fmt.Sprintf("cannot reach %s: no answer within %s", h, seconds(l.timeout())), l.tryToReach(h)}
	}
	return &Error{Why: fmt.Sprintf("cannot ask %s: interrupted", h)}
}

// failed turns the messages of ssh, sudo or ha-agent into an error with advice.
func (l *Login) failed(err error, h Host, command, messages string) error {
	said := lastMessage(messages)
	var exit *exec.ExitError
	switch {
	case !errors.As(err, &exit):
		return &Error{fmt.Sprintf("cannot run ssh to reach %s: %v", h, err), "install it: apt-get install openssh-client"}
	case exit.ExitCode() != 255: // ssh connected, so the status is that of the command
		try := "log in to the node and run `sudo ha-agent " + command + "`"
		if strings.Contains(said, "sudo:") && strings.Contains(said, "password") {
			try = "allow sudo without a password for the login (in the spec: access.users, sudo: true), or name another login with --user"
		}
		if said == "" {
			said = err.Error()
		}
		return &Error{fmt.Sprintf("cannot run ha-agent %s on %s: %s", command, h, said), try}
	case strings.Contains(strings.ToLower(said), "timed out"):
		return &Error{fmt.Sprintf("cannot reach %s: no answer within %s", h, seconds(connectTime)), l.tryToReach(h)}
	case strings.Contains(said, "Permission denied"):
		return &Error{fmt.Sprintf("cannot log in to %s: %s", h, said), "name the login with --user, and check that ssh-agent or --ssh-config has its key"}
	case strings.Contains(said, "Host key"):
		return &Error{fmt.Sprintf("cannot trust %s: %s", h, said), "log in once manually to compare the host key: " + l.byHand(h)}
	case said == "":
		said = "ssh failed without a message"
	}
	return &Error{fmt.Sprintf("cannot reach %s: %s", h, said), l.tryToReach(h)}
}

func (l *Login) tryToReach(h Host) string {
	return fmt.Sprintf("check that the node runs and that %s works from here (ping %s)", l.byHand(h), h.Address)
}

func (l *Login) byHand(h Host) string {
	words := []string{"`ssh"}
	if l.Config != "" {
		words = append(words, "-F", l.Config)
	}
	if l.User != "" {
		words = append(words, "-l", l.User)
	}
	return strings.Join(append(words, h.Address+"`"), " ")
}

// lastMessage returns the last line of ssh's messages. Earlier lines may be the node's banner.
func lastMessage(messages string) string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(messages, "\r", "")), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	return strings.TrimSuffix(strings.TrimPrefix(last, "ha-agent: "), ".")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%g s", d.Seconds()) }
