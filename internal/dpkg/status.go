// Package dpkg reads the package database of a Debian or Ubuntu system and compares versions, without running any program.
package dpkg

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Status is where the database lies on a system.
const Status = "/var/lib/dpkg/status"

// Package is an installed package.
type Package struct {
	Name, Version, Architecture string
	Source, SourceVersion       string // what it was built from
	Maintainer, Homepage        string // may be empty
	MultiArchSame               bool   // it can be installed for several architectures at once
}

// ID is the package's name as dpkg prints it: with the architecture if it can be installed for several at once.
func (p Package) ID() string {
	if p.MultiArchSame {
		return p.Name + ":" + p.Architecture
	}
	return p.Name
}

// maxLine bounds a line of the database; the longest are lists of dependencies, with a few kB.
const maxLine = 1 << 20

// Installed reads the database and returns the packages that are installed, in its order. Packages that are unpacked only,
// or removed with their configuration left, are not among them. See deb-control(5) for the format.
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
			return fmt.Errorf("cannot read the package database: the entry %q lacks a name or a version", p.Name+p.Version)
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
			continue // a line that continues the one before; no field that is read has any
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
	// The version is there only if it is another one than the package's.
	p.Source, p.SourceVersion = p.Name, p.Version
	if source := strings.Fields(fields["Source"]); len(source) > 0 {
		p.Source = source[0]
		if len(source) > 1 {
			p.SourceVersion = strings.Trim(source[1], "()")
		}
	}
	return p
}
