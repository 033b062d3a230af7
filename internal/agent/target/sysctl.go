package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/sysctl"
	"github.com/hapair/hapair/internal/validator"
)

// sysctlUnit applies all files of sysctl.d, in their order.
const sysctlUnit = "systemd-sysctl.service"

// Sysctl is the file of kernel settings.
type Sysctl struct {
	file  string
	proc  string // /proc/sys
	units Units
}

func (t *Sysctl) Name() string    { return "sysctl" }
func (t *Sysctl) Unit() string    { return "" }
func (t *Sysctl) Paths() []string { return []string{t.file} }

func (t *Sysctl) Ready(context.Context) error { return nil }

// settings reads the file. Lines that only exclude a key from patterns are skipped.
func settings(file []byte) ([]sysctl.Setting, error) {
	all, err := sysctl.Parse(string(file))
	return slices.DeleteFunc(all, func(s sysctl.Setting) bool { return s.Excluded }), err
}

func (t *Sysctl) Validate(context.Context) validator.Answer {
	b, err := regular.ReadFile(t.file, regular.MaxConfig)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Bad("there is no %s", t.file)
	case err != nil:
		return validator.Answer{Messages: []string{err.Error()}}
	}
	all, err := settings(b)
	if err != nil {
		return Bad("%v", err)
	}
	if len(all) == 0 {
		return Bad("%s sets nothing", t.file)
	}
	for _, s := range all {
		if _, err := os.Stat(s.Path(t.proc)); err != nil && !s.Optional && !s.IsPattern() {
			return Bad("the kernel does not know %s", s.Key)
		}
	}
	return validator.Answer{Verdict: validator.Good}
}

// take applies the settings and reads them back.
func (t *Sysctl) Take(ctx context.Context, _ time.Time) error {
	if t.prove() == nil {
		return nil
	}
	if err := t.units.Restart(ctx, sysctlUnit); err != nil {
		return err
	}
	return t.prove()
}

func (t *Sysctl) prove() error {
	b, err := regular.ReadFile(t.file, regular.MaxConfig)
	if err != nil {
		return fmt.Errorf("cannot read the settings: %w", err)
	}
	all, err := settings(b)
	if err != nil {
		return err
	}
	last := map[string]sysctl.Setting{}
	for _, s := range all {
		last[s.Path(t.proc)] = s
	}
	for path, s := range last {
		if s.Optional || s.IsPattern() {
			continue
		}
		now, err := regular.ReadFile(path, regular.MaxState)
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", s.Key, err)
		}
		if strings.Join(strings.Fields(string(now)), " ") != strings.Join(strings.Fields(s.Value), " ") {
			return fmt.Errorf("%s is %s, not %s: another file of sysctl.d may set it, or the kernel refuses", s.Key, bytes.TrimSpace(now), s.Value)
		}
	}
	return nil
}

// ApplySysctl applies the settings of a file that systemd-sysctl could not read when the machine started.
func ApplySysctl(ctx context.Context, run validator.Runner, file string) error {
	r, err := run(ctx, "/usr/lib/systemd/systemd-sysctl", file)
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("cannot apply %s: systemd-sysctl ended with status %d: %s", file, r.Status, Shorten(r.Output))
	}
	return err
}
