package agent

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

// sysctlTarget is the file of kernel settings.
type sysctlTarget struct {
	file string
	proc string // /proc/sys
	bus  units
}

func (t *sysctlTarget) name() string    { return "sysctl" }
func (t *sysctlTarget) unit() string    { return "" }
func (t *sysctlTarget) paths() []string { return []string{t.file} }

func (t *sysctlTarget) ready(context.Context) error { return nil }

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
func (t *sysctlTarget) path(key string) string {
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

func (t *sysctlTarget) validate(context.Context) tool.Answer {
	b, err := regular.ReadFile(t.file, regular.MaxConfig)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return bad("there is no %s", t.file)
	case err != nil:
		return tool.Answer{Messages: []string{err.Error()}}
	}
	all, err := settings(b)
	if err != nil {
		return bad("%v", err)
	}
	if len(all) == 0 {
		return bad("%s sets nothing", t.file)
	}
	for _, s := range all {
		if _, err := os.Stat(t.path(s.key)); err != nil && !s.optional && !strings.ContainsAny(s.key, "*?[") {
			return bad("the kernel does not know %s", s.key)
		}
	}
	return tool.Answer{Verdict: tool.Good}
}

// take applies the settings and reads them back.
func (t *sysctlTarget) take(ctx context.Context, _ time.Time) error {
	if t.prove() == nil {
		return nil
	}
	if err := t.bus.Restart(ctx, sysctlUnit); err != nil {
		return err
	}
	return t.prove()
}

func (t *sysctlTarget) prove() error {
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
