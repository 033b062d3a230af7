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

// Shell runs a POSIX shell script and writes its output to out. An exit status other than 0 is an error. install.Machine.Run is
// a Shell.
type Shell func(ctx context.Context, script string, out io.Writer) error

// Local is the Shell of this machine. At the end of ctx all processes of the script are killed.
func Local(ctx context.Context, script string, out io.Writer) error {
	cmd := exec.CommandContext(ctx, "/bin/sh")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), out, out
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// The script can catch this signal to remove its files.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cannot run a shell script: %w", err)
	}
	return nil
}

// maxSaid is the maximum number of bytes of a program's output that are kept, because a broken file can cause thousands of
// messages.
const maxSaid = 64 << 10

// head is the beginning of every script. It creates a temporary folder, which is removed at the end. say prints the exit status
// and the output of a command with a name.
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

// script is a shell script that is being written.
type script struct{ bytes.Buffer }

func newScript(dir string) *script {
	s := &script{}
	fmt.Fprintf(s, head, install.Quote(dir), maxSaid)
	return s
}

// put writes a file to the script's folder.
func (s *script) put(name, content string) {
	fmt.Fprintf(s, "put %s <<'END'\n", install.Quote(name))
	for chunk := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString([]byte(content))), 76) {
		s.Write(chunk)
		s.WriteByte('\n')
	}
	s.WriteString("END\n")
}

// result is the exit status and the output of a command.
type result struct {
	status int
	lines  []string
}

var begin = regexp.MustCompile(`^= (\S+) (\d+)$`)

// run runs the script and returns the result of each command by its name.
func (s *script) run(ctx context.Context, sh Shell) (map[string]result, error) {
	var out bounded
	err := sh(ctx, s.String(), &out)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	results, name := map[string]result{}, ""
	for line := range strings.Lines(out.String()) {
		line = strings.TrimRight(line, "\r\n")
		if m := begin.FindStringSubmatch(line); m != nil {
			status, err := strconv.Atoi(m[2])
			if err != nil {
				return nil, err
			}
			name = m[1]
			results[name] = result{status: status}
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

// bounded keeps the first MiB of its input.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if room := 1<<20 - b.Len(); room > 0 {
		b.Builder.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
