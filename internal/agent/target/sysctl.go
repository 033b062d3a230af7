package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/regular"
	"github.com/hapair/hapair/internal/tool"
)

// sysctlUnit applies all of sysctl.d, in its order.
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

// setting is a line of sysctl.d(5).
type setting struct {
	key      string // with dots or slashes, as it stands
	value    string
	optional bool // "-": an error does not matter
}

func settings(file []byte) ([]setting, error) {
	var all []setting
	n := 0
	for line := range bytes.Lines(file) {
		n++
		s := strings.TrimSpace(string(line))
		if s == "" || s[0] == '#' || s[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(s, "=")
		key, optional := strings.CutPrefix(strings.TrimSpace(key), "-")
		if key == "" || (!ok && !optional) {
			return nil, fmt.Errorf("line %d is no KEY = VALUE: %.80q", n, s)
		}
		if ok { // "-KEY" alone only takes a key out of what patterns set
			all = append(all, setting{key, strings.TrimSpace(value), optional})
		}
	}
	return all, nil
}

// path of a key: the first separator that it has is the one that it means (sysctl.d(5)).
func (t *Sysctl) path(key string) string {
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		key = strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, key)
	}
	return filepath.Join(t.proc, filepath.Clean("/"+key))
}

func (t *Sysctl) Validate(context.Context) tool.Answer {
	b, err := regular.ReadFile(t.file, regular.MaxConfig)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Bad("there is no %s", t.file)
	case err != nil:
		return tool.Answer{Messages: []string{err.Error()}}
	}
	all, err := settings(b)
	if err != nil {
		return Bad("%v", err)
	}
	if len(all) == 0 {
		return Bad("%s sets nothing", t.file)
	}
	for _, s := range all {
		if _, err := os.Stat(t.path(s.key)); err != nil && !s.optional && !strings.ContainsAny(s.key, "*?[") {
			return Bad("the kernel does not know %s", s.key)
		}
	}
	return tool.Answer{Verdict: tool.Good}
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
	last := map[string]setting{}
	for _, s := range all {
		last[t.path(s.key)] = s
	}
	for path, s := range last {
		if s.optional || strings.ContainsAny(s.key, "*?[") {
			continue
		}
		now, err := regular.ReadFile(path, regular.MaxState)
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", s.key, err)
		}
		if strings.Join(strings.Fields(string(now)), " ") != strings.Join(strings.Fields(s.value), " ") {
			return fmt.Errorf("%s is %s, not %s: another file of sysctl.d may set it, or the kernel refuses", s.key, bytes.TrimSpace(now), s.value)
		}
	}
	return nil
}

// ApplySysctl puts the settings of a file in force that systemd-sysctl could not read when the machine started.
func ApplySysctl(ctx context.Context, run tool.Runner, file string) error {
	r, err := run(ctx, "/usr/lib/systemd/systemd-sysctl", file)
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("cannot apply %s: systemd-sysctl ended with status %d: %s", file, r.Status, Shorten(r.Output))
	}
	return err
}
