// Package dpkg reads the package database of a Debian or Ubuntu system and compares versions, without running a program.
package dpkg

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Status is the path of the database on a system.
const Status = "/var/lib/dpkg/status"

// Package is an installed package.
type Package struct {
	Name, Version, Architecture string
	Source, SourceVersion       string // the source package
	Maintainer, Homepage        string // may be empty
	MultiArchSame               bool   // whether it can be installed for several architectures at once
}

// ID returns the package's name as dpkg prints it: with the architecture if the package can be installed for several at
// once.
func (p Package) ID() string {
	if p.MultiArchSame {
		return p.Name + ":" + p.Architecture
	}
	return p.Name
}

// maxLine is the maximum length of a line of the database in bytes. The longest lines are lists of dependencies, with a few
// kB.
const maxLine = 1 << 20

// Installed reads the database and returns the installed packages, in its order. It does not return packages that are only
// unpacked, or removed except for their configuration. See deb-control(5) for the format.
func Installed(r io.Reader) ([]Package, error) {
	var list []Package
	fields := map[string]string{}
	end := func() error {
		defer clear(fields)
		state := strings.Fields(fields["Status"])
		if len(fields) == 0 || len(state) != 3 || state[2] != "installed" {
			return nil
		}
		p := fromFields(fields)
		if p.Name == "" || p.Version == "" {
			return fmt.Errorf("cannot read the package database: the name or the version of the entry %q is missing", p.Name+p.Version)
		}
		list = append(list, p)
		return nil
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := lines.Text()
		if strings.TrimSpace(line) == "" {
			if err := end(); err != nil {
				return nil, err
			}
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if line[0] == ' ' || line[0] == '\t' || !found {
			continue // a continuation line; no field that is read has one
		}
		fields[name] = strings.TrimSpace(value)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the package database: %w", err)
	}
	return list, end()
}

func fromFields(fields map[string]string) Package {
	p := Package{
		Name: fields["Package"], Version: fields["Version"], Architecture: fields["Architecture"],
		Maintainer: fields["Maintainer"], Homepage: fields["Homepage"], MultiArchSame: fields["Multi-Arch"] == "same",
	}
	// The source has a version only if it differs from the package's version.
	p.Source, p.SourceVersion = p.Name, p.Version
	if source := strings.Fields(fields["Source"]); len(source) > 0 {
		p.Source = source[0]
		if len(source) > 1 {
			p.SourceVersion = strings.Trim(source[1], "()")
		}
	}
	return p
}
