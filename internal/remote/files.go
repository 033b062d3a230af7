package remote

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
)

// maxFiles limits what Files reads from a machine.
const maxFiles = 64 << 20

// Files returns the files below some folders of a machine, by their absolute paths. Folders that do not exist are left out,
// and so are certificates and keys, by their names. Links are followed. The machine needs no ha-agent: the login must be root's, or be allowed to run
// "sudo -n tar".
func (l *Login) Files(ctx context.Context, h Host, folders ...string) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout())
	defer cancel()
	args := l.arguments(h)
	args = args[:len(args)-3] // without sudo -n ha-agent
	args = append(args, "if [ \"$(id -u)\" = 0 ]; then s=; else s='sudo -n'; fi; cd / && exec $s tar --ignore-failed-read --exclude=*.pem --exclude=*.key --exclude=*.crt -chf - --")
	for _, f := range folders {
		args = append(args, path.Clean("/" + f)[1:])
	}
	cmd := exec.CommandContext(ctx, "ssh", args...)
	stdout, stderr := &capped{max: maxFiles}, &capped{max: maxMessages}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, l.silent(ctx, h)
	}
	if stdout.exceeded() {
		return nil, &Error{fmt.Sprintf("cannot read the files of %s: they are larger than %d MiB", h, maxFiles>>20), "copy the configuration by hand, and import the copies"}
	}
	files, tarErr := untar(&stdout.buf)
	switch {
	case len(files) > 0: // tar may have been unable to read some files
	case err != nil:
		return nil, l.unread(err, h, stderr.buf.String())
	default:
		return nil, &Error{fmt.Sprintf("cannot read the files of %s: none of the files exists (%v)", h, tarErr), "look whether haproxy is configured there"}
	}
	return files, nil
}

// unread is the error of a machine whose files could not be read.
func (l *Login) unread(err error, h Host, messages string) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 255 {
		return l.failed(err, h, "", messages)
	}
	said := lastMessage(messages)
	if said == "" {
		said = err.Error()
	}
	return &Error{fmt.Sprintf("cannot read the files of %s: %s", h, said), "allow the login sudo without a password, name another with --user, or copy the files by hand"}
}

// untar returns the regular files of an archive. An archive that is cut off gives the files before.
func untar(r io.Reader) (map[string][]byte, error) {
	files := map[string][]byte{}
	for t := tar.NewReader(r); ; {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return files, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(t, maxFiles))
		if err != nil {
			return files, err
		}
		files[path.Clean("/"+header.Name)] = data
	}
}
