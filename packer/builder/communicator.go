package builder

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/hapair/hapair/internal/image"
	"github.com/hapair/hapair/internal/install"
)

// communicator lets Packer's provisioners work in an image. The SDK also has a communicator for a chroot, but it would link
// the download libraries of three clouds into the plugin.
type communicator struct {
	ctx     context.Context // the context of the build, because the interface has none for file transfers
	machine *image.Machine
}

// Start runs a command; see packersdk.Communicator.
func (c *communicator) Start(ctx context.Context, cmd *packersdk.RemoteCmd) error {
	go func() {
		// Packer's own context ends when Start returns, not when the command ends.
		status, err := c.machine.Exec(c.ctx, image.Command{
			Script: cmd.Command, Stdin: cmd.Stdin, Stdout: cmd.Stdout, Stderr: cmd.Stderr,
		})
		if err != nil {
			if cmd.Stderr != nil {
				fmt.Fprintln(cmd.Stderr, err)
			}
			status = packersdk.CmdDisconnect
		}
		cmd.SetExited(status)
	}()
	return nil
}

// Upload writes a file to the image.
func (c *communicator) Upload(to string, content io.Reader, info *os.FileInfo) error {
	mode := fs.FileMode(0o644)
	if info != nil {
		mode = (*info).Mode().Perm()
	}
	return c.machine.Upload(c.ctx, to, mode, content)
}

// UploadDir copies the directory src to the image. If src ends in a slash, only its content is copied.
func (c *communicator) UploadDir(dst, src string, exclude []string) error {
	if !strings.HasSuffix(src, "/") {
		dst = path.Join(dst, filepath.Base(src))
	}
	return c.machine.UploadDir(c.ctx, dst, src, exclude)
}

// Download copies a file of the image to w.
func (c *communicator) Download(from string, w io.Writer) error {
	return c.machine.Download(c.ctx, from, w)
}

// DownloadDir copies the directory src of the image. If src ends in a slash, only its content is copied.
func (c *communicator) DownloadDir(src, dst string, exclude []string) error {
	if !strings.HasSuffix(src, "/") {
		dst = filepath.Join(dst, path.Base(src))
	}
	if err := os.MkdirAll(dst, 0o755); err != nil {
		return fmt.Errorf("cannot create %s: %w", dst, err)
	}
	r, w := io.Pipe()
	go func() {
		var said strings.Builder
		status, err := c.machine.Exec(c.ctx, image.Command{
			Script: "tar -C " + install.Quote(src) + " -cf - .", Stdout: w, Stderr: &said,
		})
		if err == nil && status != 0 {
			err = errors.New(strings.TrimSpace(said.String()))
		}
		w.CloseWithError(err)
	}()
	if err := unpack(dst, r, exclude); err != nil {
		r.CloseWithError(err)
		return fmt.Errorf("cannot download %s of the image: %w", src, err)
	}
	return nil
}

// unpack writes the files and directories of an archive below dst. The content of an image is not trusted: os.Root keeps
// every name below dst, and links are skipped.
func unpack(dst string, archive io.Reader, exclude []string) error {
	root, err := os.OpenRoot(dst)
	if err != nil {
		return err
	}
	defer root.Close()
	for files := tar.NewReader(archive); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(header.Name)
		if excluded(name, exclude) {
			continue
		}
		switch header.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeReg:
			err = writeFile(root, name, files, fs.FileMode(header.Mode).Perm())
		}
		if err != nil {
			return err
		}
	}
}

func excluded(name string, exclude []string) bool {
	for _, e := range exclude {
		if e = path.Clean(e); name == e || strings.HasPrefix(name, e+"/") {
			return true
		}
	}
	return false
}

func writeFile(root *os.Root, name string, content io.Reader, mode fs.FileMode) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
