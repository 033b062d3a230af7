package image

import (
	"context"
	"io"
	"io/fs"
)

// Run runs a shell script in the image; see install.Machine.
func (m *Machine) Run(ctx context.Context, script string, out io.Writer) error { return nil }

// Upload writes a file of the image; see install.Machine. No link leads it out of the image.
func (m *Machine) Upload(ctx context.Context, path string, mode fs.FileMode, content io.Reader) error {
	return nil
}

// Download copies a regular file of the image to w.
func (m *Machine) Download(ctx context.Context, path string, w io.Writer) error { return nil }

// UploadDir copies what lies in the directory src of this machine into the directory dst of the image, which is made
// where it is missing. Files named in exclude (relative to src) are left out; links are copied as links.
func (m *Machine) UploadDir(ctx context.Context, dst, src string, exclude []string) error { return nil }

// Extract copies the root file system of an image into the directory dir of this machine, owners, modes, links and
// extended attributes included. dir is made where it is missing, and must be empty.
func Extract(ctx context.Context, file, dir string) error { return nil }
