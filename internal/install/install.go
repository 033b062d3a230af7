// Package install carries out an image's recipe on a machine that can run a shell script and receive a file: a chroot, or a
// machine that Packer's communicator reaches.
package install

import (
	"context"
	"io"
	"io/fs"
)

// Machine is the machine on which a recipe is carried out. Everything runs as root.
type Machine interface {
	// Run runs a POSIX shell script and writes its output to out. If the script's exit status is not 0, Run returns an
	// error.
	Run(ctx context.Context, script string, out io.Writer) error
	// Upload writes a file atomically, with the given content and mode, and with owner root:root. Its directory must exist.
	Upload(ctx context.Context, path string, mode fs.FileMode, content io.Reader) error
}

// Step is one step of the installation. Its name, such as "install packages", is shown to people.
type Step struct {
	Name string
	Run  func(ctx context.Context, m Machine, out io.Writer) error
	// Undo removes what must not remain if this step or a later one fails. It may be nil.
	Undo func(ctx context.Context, m Machine, out io.Writer) error
}

// Source opens the agent's binary. It is called for every upload.
type Source func() (io.ReadCloser, error)

// Progress reports that a step begins (Line is empty and Done is false), prints a line, or is done.
type Progress struct {
	Step string
	Line string // a line of the step's output; empty if the step begins or is done
	Done bool   // the step succeeded
	// Fraction is the finished part of the step, from 0 to 1, if it is known (for a download); otherwise 0.
	Fraction float64
}

// Report is called for every Progress, never concurrently.
type Report func(Progress)
