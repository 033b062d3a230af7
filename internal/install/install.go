// Package install carries an image's recipe out on a machine that can run a shell script and take a file: a chroot, or
// whatever Packer's communicator reaches.
package install

import (
	"context"
	"io"
	"io/fs"
)

// Machine is what a recipe is carried out on. Everything runs as root.
type Machine interface {
	// Run runs a POSIX shell script and sends what it prints to out. A script that ends with a status other than 0 is
	// an error.
	Run(ctx context.Context, script string, out io.Writer) error
	// Upload writes a file atomically: content, owner root:root, mode. Its directory exists.
	Upload(ctx context.Context, path string, mode fs.FileMode, content io.Reader) error
}

// Step is one line of progress: a name for people, such as "install packages".
type Step struct {
	Name string
	Run  func(ctx context.Context, m Machine, out io.Writer) error
	// Undo takes back what must not stay when this step or a later one fails. It may be nil.
	Undo func(ctx context.Context, m Machine, out io.Writer) error
}

// Source opens the agent's binary. It is opened anew for every upload.
type Source func() (io.ReadCloser, error)

// Progress tells how the work goes on: a step begins (Line and Done are empty), prints a line, or is done.
type Progress struct {
	Step string
	Line string // a line of the step's output; empty where the step begins or is done
	Done bool   // the step succeeded
	// Fraction of the step that is done, from 0 to 1, where it can be told (a download); 0 otherwise.
	Fraction float64
}

// Report is called for every Progress, one at a time.
type Report func(Progress)
