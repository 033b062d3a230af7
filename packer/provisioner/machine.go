package provisioner

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/hapair/hapair/internal/install"
)

// machine is a machine that Packer's communicator reaches, with the methods that the steps of a recipe need. Everything runs
// as root. Scripts are uploaded as files, as Packer's own shell provisioner does: that works with every communicator, even
// one that has a terminal, and keeps the scripts out of the process list.
type machine struct {
	comm packersdk.Communicator
	sudo string // prefix of a command that must run as root; empty if the login is root
	dir  string // a directory that belongs to the login, with mode 0700
	// direct means that the communicator itself writes files atomically and as root, and records them in the image's
	// manifest.
	direct bool

	uploaded []string // paths of the uploaded files
}

// ownChroot is the connection type of hapair's own builder.
const ownChroot = "hapair-chroot"

// connect determines whether the login is root, and creates a directory for uploads.
func connect(ctx context.Context, comm packersdk.Communicator) (*machine, error) {
	m := &machine{comm: comm}
	uid, err := m.output(ctx, "id -u")
	if err != nil {
		return nil, fmt.Errorf("cannot run a command on the machine: %w", err)
	}
	if uid != "0" {
		m.sudo = "sudo -n "
		if out, err := m.output(ctx, "sudo -n true 2>&1"); err != nil {
			return nil, fmt.Errorf("cannot become root on the machine: %s (%w): log in as root, or as a user who may run sudo without a password", out, err)
		}
	}
	// Sealing empties /tmp, except for Packer's own files.
	if m.dir, err = m.output(ctx, "mktemp -d /tmp/packer-hapair.XXXXXXXXXX"); err != nil {
		return nil, fmt.Errorf("cannot create a directory in /tmp on the machine: %s (%w)", m.dir, err)
	}
	// If the login's shell prints a greeting, it would become part of the path.
	if ok, _ := path.Match("/tmp/packer-hapair.??????????", m.dir); !ok {
		return nil, fmt.Errorf("cannot use the machine's shell: mktemp printed %q instead of one path; make sure that the login's shell prints nothing", m.dir)
	}
	return m, nil
}

// close removes the directory that connect created.
func (m *machine) close(ctx context.Context) error {
	if _, err := m.output(ctx, "rm -rf "+m.dir); err != nil {
		return fmt.Errorf("cannot remove %s on the machine: %w", m.dir, err)
	}
	return nil
}

// Run runs a shell script as root, with an empty standard input.
func (m *machine) Run(ctx context.Context, script string, out io.Writer) error {
	at := m.dir + "/" + rand.Text()
	if err := m.comm.Upload(at, strings.NewReader(script), nil); err != nil {
		return fmt.Errorf("cannot upload a script to %s: %w", at, err)
	}
	return m.start(ctx, m.sudo+"sh "+at+" </dev/null", out)
}

// Upload writes a file as root: first beside its final path, so that it appears complete or not at all. It checks the
// digest, because a communicator may truncate a file without an error.
func (m *machine) Upload(ctx context.Context, to string, mode fs.FileMode, content io.Reader) error {
	data, err := io.ReadAll(content)
	if err != nil {
		return fmt.Errorf("cannot read the content for %s: %w", to, err)
	}
	m.uploaded = append(m.uploaded, to)
	if m.direct {
		var info fs.FileInfo = file{path.Base(to), int64(len(data)), mode}
		return m.comm.Upload(to, bytes.NewReader(data), &info)
	}
	from := m.dir + "/" + rand.Text()
	if err := m.comm.Upload(from, bytes.NewReader(data), nil); err != nil {
		return fmt.Errorf("cannot upload %s: %w", to, err)
	}
	var out bytes.Buffer
	if err := m.Run(ctx, place(from, to, mode, sha256.Sum256(data)), &out); err != nil {
		return fmt.Errorf("cannot write %s: %w: %s", to, err, strings.TrimSpace(out.String()))
	}
	return nil
}

// file is the file information that a communicator needs for an upload.
type file struct {
	name string
	size int64
	mode fs.FileMode
}

func (f file) Name() string       { return f.name }
func (f file) Size() int64        { return f.size }
func (f file) Mode() fs.FileMode  { return f.mode }
func (f file) ModTime() time.Time { return time.Time{} }
func (f file) IsDir() bool        { return false }
func (f file) Sys() any           { return nil }

// place returns the script that moves an uploaded file to its path.
func place(from, to string, mode fs.FileMode, digest [sha256.Size]byte) string {
	return fmt.Sprintf(`set -eu
to=%s
echo '%x  %s' | sha256sum -c --status || { echo 'the digest of the uploaded file is wrong'; exit 1; }
trap 'rm -f "$to.hapair-new"' EXIT
install -o root -g root -m %04o %s "$to.hapair-new"
mv -T "$to.hapair-new" "$to"
rm -f %s
`, install.Quote(to), digest, from, mode.Perm(), from, from)
}

// output runs a command as the login, and returns its output.
func (m *machine) output(ctx context.Context, command string) (string, error) {
	var out bytes.Buffer
	err := m.start(ctx, command, &out)
	return strings.TrimSpace(out.String()), err
}

// start runs a command, and waits until it or ctx ends.
func (m *machine) start(ctx context.Context, command string, out io.Writer) error {
	both := &gate{w: out}
	defer both.shut()
	cmd := &packersdk.RemoteCmd{Command: command, Stdout: both, Stderr: both}
	if err := m.comm.Start(ctx, cmd); err != nil {
		return err
	}
	exited := make(chan int, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case status := <-exited:
		switch status {
		case 0:
			return nil
		case packersdk.CmdDisconnect:
			return fmt.Errorf("the machine closed the connection")
		}
		return fmt.Errorf("exit status %d", status)
	}
}

// gate is a writer for two concurrent streams. It allows one write at a time until it is shut, because a communicator writes
// both streams concurrently, and may continue after its caller has returned.
type gate struct {
	mu   sync.Mutex
	w    io.Writer
	down bool
}

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down {
		return 0, io.ErrClosedPipe
	}
	return g.w.Write(p)
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = true
}
