package judge

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hapair/hapair/internal/install"
)

// Shell runs a POSIX shell script and sends what it prints to out. A script that ends with a status other than 0 is an
// error. install.Machine.Run is one.
type Shell func(ctx context.Context, script string, out io.Writer) error

// Local is the Shell of this machine. Everything that the script started ends with ctx.
func Local(ctx context.Context, script string, out io.Writer) error {
	cmd := exec.CommandContext(ctx, "/bin/sh")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), out, out
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A signal that can be caught lets the script remove its files.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot run a shell script: %w", err)
	}
	return nil
}

// maxSaid bounds what is kept of a program's output: a broken file can make thousands of messages.
const maxSaid = 64 << 10

// head begins every script: with a folder of its own, which is removed at the end. say prints the status and the output
// of a command under a name.
const head = `set -u
umask 077
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH LC_ALL=C
dir=%[1]s
mkdir -- "$dir" || exit 1
trap 'rm -rf -- "$dir"' EXIT
trap 'exit 1' HUP INT TERM
cd -- "$dir" || exit 1
say() {
	name=$1
	shift
	"$@" >"$dir/said" 2>&1 </dev/null
	echo "= $name $?"
	head -c %[2]d "$dir/said" | sed 's/^/ /'
	echo
}
put() { base64 -d >"$dir/$1"; }
`

// script is a shell script that is being put together.
type script struct{ bytes.Buffer }

func newScript(dir string) *script {
	s := &script{}
	fmt.Fprintf(s, head, install.Quote(dir), maxSaid)
	return s
}

// put writes a file in the script's folder.
func (s *script) put(name, content string) {
	fmt.Fprintf(s, "put %s <<'END'\n", install.Quote(name))
	for chunk := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString([]byte(content))), 76) {
		s.Write(chunk)
		s.WriteByte('\n')
	}
	s.WriteString("END\n")
}

// said is what a command ended with.
type said struct {
	status int
	lines  []string
}

var begin = regexp.MustCompile(`^= (\S+) (\d+)$`)

// run runs the script and returns what each command said, by its name.
func (s *script) run(ctx context.Context, sh Shell) (map[string]said, error) {
	var out bounded
	err := sh(ctx, s.String(), &out)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	results, name := map[string]said{}, ""
	for line := range strings.Lines(out.String()) {
		line = strings.TrimRight(line, "\r\n")
		if m := begin.FindStringSubmatch(line); m != nil {
			status, err := strconv.Atoi(m[2])
			if err != nil {
				return nil, err
			}
			name = m[1]
			results[name] = said{status: status}
			continue
		}
		if text, ok := strings.CutPrefix(line, " "); ok && name != "" && strings.TrimSpace(text) != "" {
			r := results[name]
			r.lines = append(r.lines, text)
			results[name] = r
		}
	}
	if len(results) == 0 {
		return nil, errors.New("cannot read what the daemons said: the shell printed nothing")
	}
	return results, nil
}

// bounded keeps the first MiB of what is written to it.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if room := 1<<20 - b.Len(); room > 0 {
		b.Builder.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
