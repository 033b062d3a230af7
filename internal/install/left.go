package install

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// System gives access to the files of a system that does not run. Paths are absolute, and are resolved as a program on the
// system would resolve them.
type System interface {
	// Stat describes the file at a path. If follow is false, a symbolic link as the last element is not resolved.
	Stat(path string, follow bool) (fs.FileInfo, error)
	// Names lists a directory.
	Names(path string) ([]string, error)
	// OpenFile opens a regular file. It returns an error for any other type.
	OpenFile(path string) (io.ReadCloser, error)
}

// readLimit is the number of bytes that are read from one file.
const readLimit = 4 << 20

// Left reports what sealing should have removed. It finds the same as the check script of Seal, but runs no program of the
// system, because these programs could have been changed to hide something.
func Left(s System) ([]string, error) {
	l := &leftovers{System: s}
	homes, err := l.homes()
	if err != nil {
		return nil, err
	}
	for _, t := range traces() {
		for _, p := range t.paths {
			at := []string{p}
			if rest, ok := strings.CutPrefix(p, "~/"); ok {
				at = nil
				for _, home := range homes {
					at = append(at, path.Join(home, rest))
				}
			}
			for _, p := range at {
				if err := l.check(t, p); err != nil {
					return nil, err
				}
			}
		}
	}
	return l.found, nil
}

type leftovers struct {
	System
	found []string
}

// gone reports whether an error means that a file does not exist.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// homes lists the home directories of all accounts, like homesFunction does.
func (l *leftovers) homes() ([]string, error) {
	homes := []string{"/root"}
	names, err := l.Names("/home")
	if err != nil && !gone(err) {
		return nil, err
	}
	for _, name := range names {
		homes = append(homes, "/home/"+name)
	}
	passwd, err := l.read("/etc/passwd")
	if err != nil && !gone(err) {
		return nil, err
	}
	not := regexp.MustCompile("^" + noHome + "$")
	for line := range strings.Lines(string(passwd)) {
		if fields := strings.Split(line, ":"); len(fields) > 5 && len(fields[5]) > 1 && fields[5][0] == '/' && fields[5][1] != '/' {
			homes = append(homes, path.Clean(fields[5]))
		}
	}
	homes = slices.DeleteFunc(homes, not.MatchString)
	slices.Sort(homes)
	return slices.Compact(homes), nil
}

// check examines every file that matches a pattern of a trace.
func (l *leftovers) check(t trace, pattern string) error {
	names := []string{path.Base(pattern)}
	if strings.ContainsAny(names[0], "*?[") {
		all, err := l.Names(path.Dir(pattern))
		if err != nil && !gone(err) {
			return err
		}
		names = slices.DeleteFunc(all, func(name string) bool {
			match, err := path.Match(path.Base(pattern), name)
			return err != nil || !match
		})
		slices.Sort(names)
	}
	for _, name := range names {
		file := path.Join(path.Dir(pattern), name)
		more, bad, err := l.holds(t, file)
		if err != nil && !gone(err) {
			return fmt.Errorf("cannot examine %s: %w", file, err)
		}
		if bad {
			l.found = append(l.found, file+" "+t.fault+more)
		}
	}
	return nil
}

// holds reports whether a file has the fault that a trace describes. more is added to the message.
func (l *leftovers) holds(t trace, file string) (more string, bad bool, err error) {
	info, err := l.Stat(file, t.kind != absent)
	if err != nil {
		return "", false, err
	}
	switch t.kind {
	case absent:
		return "", true, nil
	case empty:
		return "", info.Size() > 0, nil
	case emptyFiles:
		full, err := l.full(file, nil)
		return ": " + strings.Join(full, " "), len(full) > 0, err
	}
	if !info.Mode().IsRegular() {
		return "", t.kind == only, nil
	}
	content, err := l.read(file)
	if err != nil {
		return "", false, err
	}
	if t.kind == only {
		return "", info.Size() > 0 && !hasLine(content, t.pattern), nil
	}
	match, err := regexp.Match("(?m)"+t.pattern, content)
	return "", match, err
}

// full lists the files below a directory that are not empty.
func (l *leftovers) full(dir string, list []string) ([]string, error) {
	names, err := l.Names(dir)
	if err != nil {
		return list, err
	}
	slices.Sort(names)
	for _, name := range names {
		file := path.Join(dir, name)
		info, err := l.Stat(file, false)
		switch {
		case err != nil:
			return list, err
		case info.IsDir():
			if list, err = l.full(file, list); err != nil {
				return list, err
			}
		case info.Mode().IsRegular() && info.Size() > 0:
			list = append(list, file)
		}
	}
	return list, nil
}

func (l *leftovers) read(file string) ([]byte, error) {
	f, err := l.OpenFile(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, readLimit+1))
	if err == nil && len(b) > readLimit {
		err = fmt.Errorf("%s has more than %d bytes", file, readLimit)
	}
	return b, err
}

func hasLine(content []byte, line string) bool {
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		if lines.Text() == line {
			return true
		}
	}
	return false
}
