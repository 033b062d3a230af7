package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/hapair/hapair/internal/recipe"
)

// recorder is a machine that only records its calls. A script that contains the text in fails returns an error.
type recorder struct {
	fails   string
	scripts []string
	files   map[string]string
}

func (r *recorder) Run(_ context.Context, script string, out io.Writer) error {
	r.scripts = append(r.scripts, script)
	if r.fails != "" && strings.Contains(script, r.fails) {
		for i := range 20 {
			fmt.Fprintf(out, "line %d\n", i)
		}
		fmt.Fprint(out, "E: the reason")
		return errors.New("status 100")
	}
	return nil
}

func (r *recorder) Upload(_ context.Context, path string, mode fs.FileMode, content io.Reader) error {
	b, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	if r.files == nil {
		r.files = map[string]string{}
	}
	r.files[path] = fmt.Sprintf("%04o %s", mode, b)
	r.scripts = append(r.scripts, "upload "+path)
	return nil
}

func example() recipe.Recipe {
	return recipe.Recipe{
		Packages: []string{"haproxy", "keepalived"}, Hold: []string{"haproxy"}, Agent: "/usr/bin/ha-agent",
		Users: []recipe.User{{Name: "hapair-check", Home: "/nonexistent"}},
		Files: []recipe.File{
			{Path: "/etc/haproxy/haproxy.cfg", Mode: 0o640, Owner: "root", Group: "haproxy", Content: []byte("cfg")},
			{Path: "/etc/sysctl.d/60-hapair.conf", Mode: 0o644, Owner: "root", Group: "root", Content: []byte("early"), Early: true},
		},
		Units: []recipe.Unit{{Name: "haproxy.service", State: "enabled"}, {Name: "apt-daily.timer", State: "masked"}},
	}
}

// agent opens a program for amd64: an ELF header (elf(5)).
func agent() (io.ReadCloser, error) {
	header := make([]byte, 64)
	copy(header, "\x7fELF\x02\x01\x01")
	header[16], header[18], header[20], header[52] = 2, 62, 1, 64
	return io.NopCloser(bytes.NewReader(header)), nil
}

// at returns the index of the first recorded action that contains s.
func (r *recorder) at(t *testing.T, s string) int {
	t.Helper()
	for i, script := range r.scripts {
		if strings.Contains(script, s) {
			return i
		}
	}
	t.Fatalf("no recorded action contains %q:\n%s", s, strings.Join(r.scripts, "\n---\n"))
	return -1
}

func TestOrder(t *testing.T) {
	var m recorder
	if err := Do(t.Context(), &m, append(Image(example(), agent), Seal()...), nil); err != nil {
		t.Fatal(err)
	}
	order := []string{
		"boot-finished", "exit 101", "useradd", "upload /etc/sysctl.d/60-hapair.conf",
		"upload /usr/bin/ha-agent", "upload /usr/lib/hapair/ha-agent.deb", "apt update", "set -- \"$@\" /usr/lib/hapair/ha-agent.deb",
		"apt install", "upload /etc/haproxy/haproxy.cfg", "'root:haproxy'",
		"systemctl enable -- 'haproxy.service'", "apt-mark hold 'haproxy'", "verify --stage image", "cloud-init clean",
	}
	last := -1
	for _, s := range order {
		at := m.at(t, s)
		if at < last {
			t.Errorf("%q comes too early", s)
		}
		last = at
	}
	if undo := len(m.scripts) - 3; m.scripts[undo] != policyUndo {
		t.Errorf("services may not start again before the image is sealed: %s", m.scripts[undo])
	}
	if got := m.files["/etc/haproxy/haproxy.cfg"]; got != "0640 cfg" {
		t.Errorf("haproxy.cfg: %q", got)
	}
}

// A failed step returns the reason as its error, and services may start again.
func TestFailure(t *testing.T) {
	m := recorder{fails: "apt install"}
	var told []Progress
	err := Do(t.Context(), &m, Image(example(), agent), func(p Progress) { told = append(told, p) })
	if err == nil {
		t.Fatal("no error")
	}
	text := err.Error()
	for _, want := range []string{"cannot install packages: status 100", "line 19", "E: the reason"} {
		if !strings.Contains(text, want) {
			t.Errorf("the error does not contain %q: %s", want, text)
		}
	}
	if strings.Contains(text, "line 3\n") {
		t.Errorf("the error contains the whole output: %s", text)
	}
	if m.scripts[len(m.scripts)-1] != policyUndo {
		t.Errorf("the last thing done was %s", m.scripts[len(m.scripts)-1])
	}
	for _, p := range told {
		if p.Step == "install packages" && p.Done {
			t.Error("the failed step was reported as done")
		}
	}
}

// Undo also runs after an interrupt.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	undone := false
	err := Do(ctx, &recorder{}, []Step{
		{Name: "one", Run: Script("true"), Undo: func(ctx context.Context, _ Machine, _ io.Writer) error {
			undone = ctx.Err() == nil
			return nil
		}},
		{Name: "two", Run: func(context.Context, Machine, io.Writer) error { cancel(); return ctx.Err() }},
	}, nil)
	if !errors.Is(err, context.Canceled) || !undone {
		t.Errorf("error %v, undone %v", err, undone)
	}
}

func TestNoAgent(t *testing.T) {
	err := Do(t.Context(), &recorder{}, Image(example(), nil), nil)
	if err == nil || !strings.Contains(err.Error(), "the agent's binary is missing") {
		t.Errorf("error %v", err)
	}
}

func TestUnknownState(t *testing.T) {
	script := unitsScript([]recipe.Unit{{Name: "x'; touch /x; '.service", State: "started"}})
	out, err := exec.Command("/bin/sh", "-c", script).CombinedOutput()
	if err == nil || !strings.Contains(string(out), `unknown state "started"`) {
		t.Errorf("unknown state: %v: %s", err, out)
	}
}

// Every script must be valid for a POSIX shell.
func TestScriptsAreShell(t *testing.T) {
	var m recorder
	r := example()
	r.Files[0].Path = "/etc/it's \"odd\" $(id)/`x`"
	if err := Do(t.Context(), &m, append(Image(r, agent), Seal()...), nil); err != nil {
		t.Fatal(err)
	}
	for _, script := range m.scripts {
		if strings.HasPrefix(script, "upload ") {
			continue
		}
		sh := exec.Command("/bin/sh", "-n")
		sh.Stdin = strings.NewReader(script)
		if out, err := sh.CombinedOutput(); err != nil {
			t.Errorf("%v: %s\n%s", err, out, script)
		}
	}
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "plain", "it's", "a b\nc", `$(id)\"`, "-n", "é*?[", "'''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "\x00") {
			t.Skip("an argument cannot hold a NUL")
		}
		out, err := exec.Command("/bin/sh", "-c", "printf %s "+Quote(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("the shell read %q as %q, %v", s, out, err)
		}
	})
}

// The output of a base image must not control the builder's terminal.
func TestLinesAreSafeForATerminal(t *testing.T) {
	var got []string
	err := Output("try it", func(p Progress) { got = append(got, p.Line) }, func(out *Lines) error {
		fmt.Fprint(out, "\x1b[2Jforged\u202e\x9b\n")
		return errors.New("no")
	})
	const want = `\u001b[2Jforged\u202e` + "\ufffd"
	if !slices.Contains(got, want) || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\x1b") {
		t.Errorf("got %q and %v", got, err)
	}
}

func TestLines(t *testing.T) {
	var got []string
	l := &Lines{step: "s", report: func(p Progress) { got = append(got, p.Line) }}
	for _, part := range []string{"10%\r20%\rdone\n", "a\x1b[2Jb\u009bc\n", "\n  ", "\n", "half", " and half\n", "rest"} {
		if _, err := io.Copy(l, bytes.NewReader([]byte(part))); err != nil {
			t.Fatal(err)
		}
	}
	l.flush()
	want := `10%|20%|done|a\u001b[2Jb\u009bc|half and half|rest`
	if strings.Join(got, "|") != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := l.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil || len(l.partial) > lineBytes {
		t.Errorf("of a line of 1 MiB, %d bytes are kept, %v", len(l.partial), err)
	}
}
