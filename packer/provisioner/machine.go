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

// machine is what Packer's communicator reaches, as the steps of a recipe want it: everything runs as root. Scripts
// travel as files, as those of Packer's own shell provisioner do: that works with every communicator, also with one
// that has a terminal, and keeps them out of the process list.
type machine struct {
	comm packersdk.Communicator
	sudo string // what goes before a command so that it runs as root; empty where the login is root
	dir  string // a directory of the login's own, with mode 0700
	// direct: the communicator itself writes files atomically and as root, and lists them in the image's manifest.
	direct bool

	uploaded []string // where files were put
}

// ownChroot is how our own builder names its communicator.
const ownChroot = "hapair-chroot"

// connect finds out who the login is and makes a directory for what is uploaded.
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
	// Sealing empties /tmp but for what Packer itself has there.
	if m.dir, err = m.output(ctx, "mktemp -d /tmp/packer-hapair.XXXXXXXXXX"); err != nil {
		return nil, fmt.Errorf("cannot make a directory in /tmp on the machine: %s (%w)", m.dir, err)
	}
	// A login that greets with more than a prompt would be taken for a part of the path.
	if ok, _ := path.Match("/tmp/packer-hapair.??????????", m.dir); !ok {
		return nil, fmt.Errorf("cannot use the machine's shell: mktemp printed %q, where one path was expected; let the login's shell print nothing", m.dir)
	}
	return m, nil
}

// close removes what connect made.
func (m *machine) close(ctx context.Context) error {
	if _, err := m.output(ctx, "rm -rf "+m.dir); err != nil {
		return fmt.Errorf("cannot remove %s on the machine: %w", m.dir, err)
	}
	return nil
}

// Run runs a shell script as root, without anything to read on its standard input.
func (m *machine) Run(ctx context.Context, script string, out io.Writer) error {
	at := m.dir + "/" + rand.Text()
	if err := m.comm.Upload(at, strings.NewReader(script), nil); err != nil {
		return fmt.Errorf("cannot upload a script to %s: %w", at, err)
	}
	return m.start(ctx, m.sudo+"sh "+at+" </dev/null", out)
}

// Upload writes a file as root: beside its final place first, so that it is there whole or not at all. A communicator
// may lose the end of what it carries without saying so, hence the digest.
func (m *machine) Upload(ctx context.Context, to string, mode fs.FileMode, content io.Reader) error {
	data, err := io.ReadAll(content)
	if err != nil {
		return fmt.Errorf("cannot read what goes to %s: %w", to, err)
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

// file is what a communicator asks of a file that it uploads.
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

// place is the script that moves an uploaded file to where it belongs.
func place(from, to string, mode fs.FileMode, digest [sha256.Size]byte) string {
	return fmt.Sprintf(`set -eu
to=%s
echo '%x  %s' | sha256sum -c --status || { echo 'the upload arrived damaged'; exit 1; }
trap 'rm -f "$to.hapair-new"' EXIT
install -o root -g root -m %04o %s "$to.hapair-new"
mv -T "$to.hapair-new" "$to"
rm -f %s
`, install.Quote(to), digest, from, mode.Perm(), from, from)
}

// output runs a command as the login itself and returns what it prints.
func (m *machine) output(ctx context.Context, command string) (string, error) {
	var out bytes.Buffer
	err := m.start(ctx, command, &out)
	return strings.TrimSpace(out.String()), err
}

// start runs a command and waits for its end, or for ctx's.
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

// gate lets two streams through to one writer, one write at a time, until it is shut: a communicator copies both at the
// same time, and goes on with it after its caller gave up.
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
