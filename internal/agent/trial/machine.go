package trial

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/agent/config"
	"github.com/hapair/hapair/internal/agent/control"
	"github.com/hapair/hapair/internal/durable"
	"github.com/hapair/hapair/internal/revision"
	"github.com/hapair/hapair/internal/validator"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/units"
)

// At returns the store below a directory.
func At(dir string) *Store { return &Store{Dir: dir, Clock: kernel{}, Now: time.Now} }

// Here returns the store and the machine that this program runs on.
func Here() (*Store, Machine) {
	return At(wellknown.Revisions),
		Machine{Run: validator.Run, Ask: func(ctx context.Context, req control.Request, result any) error {
			return control.Ask(ctx, wellknown.AgentSocket, req, result)
		}}
}

// kernel is the clock of this machine.
type kernel struct{}

var bootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
})

func (kernel) Boot() string { return bootID() }

func (kernel) Uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(fmt.Sprintf("the kernel has no CLOCK_BOOTTIME: %v", err)) // it has had one since Linux 2.6.39
	}
	return time.Duration(ts.Nano())
}

// NewServer returns the server of this machine.
func NewServer(conf *config.Config) *Server {
	s, m := Here()
	return &Server{Store: s, Machine: m, Conf: conf,
		Start: func(ctx context.Context) error { return s.start(ctx, m) },
		Test: func(ctx context.Context, to revision.Content, conf *config.Config) (string, error) {
			return Test(ctx, m.Run, to, conf)
		},
		Exec: func(program string) error {
			return unix.Exec(program, []string{program, "revision", "serve"}, os.Environ())
		}}
}

// start has the trial supervised, and other nodes answered, from now on and after a reboot. The units of a node that was
// made before there were any are written here.
func (s *Store) start(ctx context.Context, m Machine) error {
	t, err := s.Trial()
	if t == nil || err != nil {
		return err
	}
	if t.Phase == revision.Staged {
		if err := s.prepare(ctx, m); err != nil {
			return err
		}
	}
	r, err := m.Run(ctx, "systemctl", "start", "--no-block", "--", wellknown.RevisionUnit)
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("cannot start %s: %s", wellknown.RevisionUnit, strings.Join(r.Lines(), "; "))
	}
	return err
}

// prepare installs this program as the one that supervises the trial, and its units.
func (s *Store) prepare(ctx context.Context, m Machine) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program: %w", err)
	}
	mine, err := fileDigest("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", self, err)
	}
	if have, err := fileDigest(s.path("agent")); err != nil || have != mine {
		data, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", self, err)
		}
		if err := durable.WriteFile(s.path("agent"), data, 0o700, durable.Keep, durable.Keep); err != nil {
			return err
		}
	}
	written := false
	for _, f := range units.Revision() {
		if now, err := onDisk(f.Path); err == nil && now.Digest == revision.Sum(f.Content) {
			continue
		}
		if err := durable.WriteFile(f.Path, f.Content, f.Mode, 0, 0); err != nil {
			return err
		}
		written = true
	}
	commands := [][]string{{"start", "--", wellknown.RevisionSocket}}
	if written || unitState(ctx, m.Run, wellknown.RevisionUnit) != "enabled" || unitState(ctx, m.Run, wellknown.RevisionSocket) != "enabled" {
		commands = append([][]string{{"daemon-reload"}, {"enable", "--", wellknown.RevisionUnit, wellknown.RevisionSocket}}, commands...)
	}
	for _, args := range commands {
		r, err := m.Run(ctx, "systemctl", args...)
		if err == nil && r.Status != 0 {
			err = fmt.Errorf("cannot run systemctl %s: %s", strings.Join(args, " "), strings.Join(r.Lines(), "; "))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
