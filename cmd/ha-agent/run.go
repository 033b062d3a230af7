package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/nearest"
	"github.com/hapair/hapair/internal/paint"
	"github.com/hapair/hapair/internal/termsafe"
	"github.com/hapair/hapair/internal/version"
)

// command is one of ha-agent's commands.
type command struct {
	name, args, short string
	run               func(ctx context.Context, e *env, args []string) error
}

// env has a command's streams.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	asked          *flag.FlagSet // the flags of the command that runs
}

// usage returns an error for a wrong command line.
func usage(format string, args ...any) error {
	return exitstatus.With(exitstatus.Usage, fmt.Errorf(format, args...))
}

func commands() []command {
	return []command{
		{"run", "", "run the daemon, which watches the files, validates changes, reloads services, and proves or rolls back", cmdRun},
		{"check", "", "check whether this node may hold virtual IPs (0: yes, 1: no); keepalived runs it as its track_script", cmdCheck},
		{"status", "", "print targets, virtual IPs, VRRP states and recent changes (0: healthy, 1: not healthy)", cmdStatus},
		{"verify", "", "check every step of the node's setup, and print ok or NOT for each", cmdVerify},
		{"guard", "TARGET", "before a service starts: set bad files aside, and put the last known good ones in place", cmdGuard},
		{"release", "", "remove virtual IPs that keepalived left behind", cmdRelease},
		{"apply", "DIR", "install a set of files as one change, and wait for the result (0: proven, 1: refused)", cmdApply},
		{"server", "ready|drain|disable|weight BACKEND/SERVER [WEIGHT]", "bring a server of haproxy back, take it out, or change its weight, also across restarts and reboots", cmdServer},
		{"packages", "[upgrade]", "list newer versions of haproxy and keepalived; or install security updates under maintenance", cmdPackages},
		{"maintenance", "on|off", "give up all virtual IPs, also across reboots; or become available again", cmdMaintenance},
		{"inventory", "", "print files, packages and the release as JSON, for bake diff; the request is JSON on standard input", cmdInventory},
		{"revision", "COMMAND", "show the revision that the last rollout brought, and its trial; see 'ha-agent revision -h'", cmdRevision},
		{"version", "", "print the version, which all programs of hapair share", cmdVersion},
	}
}

// run runs ha-agent with the given arguments and streams, and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// Much of the output comes from daemons and files, so control characters are removed.
	e := &env{stdin: stdin, stdout: termsafe.Writer(paint.For(stdout, os.Getenv)), stderr: termsafe.Writer(stderr)}
	err := dispatch(ctx, e, args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitstatus.OK
	}
	code := exitstatus.Of(err, exitstatus.Failure)
	if msg := err.Error(); msg != "" {
		fmt.Fprintf(paint.For(stderr, os.Getenv), "ha-agent: %s\n", termsafe.Text(msg))
	}
	if code == exitstatus.Usage {
		fmt.Fprintln(stderr, "ha-agent: see 'ha-agent help'")
	}
	return code
}

func dispatch(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 {
		return usage("the command is missing")
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		help(e.stdout)
		return nil
	case "-version", "--version":
		return cmdVersion(ctx, e, args[1:])
	}
	if c, ok := commandNamed(args[0]); ok {
		return c.run(ctx, e, args[1:])
	}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	if near := nearest.Word(args[0], names); near != "" {
		return usage("unknown command %q; did you mean %q?", args[0], near)
	}
	return usage("unknown command %q", args[0])
}

func help(w io.Writer) {
	fmt.Fprint(w, "ha-agent keeps the daemons of a load balancer running with the configuration on the disk.\n\nUsage: ha-agent COMMAND [FLAGS]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-16s %s\n", strings.TrimSpace(c.name+" "+c.args), c.short)
	}
	fmt.Fprint(w, "\n'ha-agent COMMAND -h' prints the flags of a command.\nExit status: 0 success, 1 a negative result, 2 wrong usage, 3 the command could not be carried out.\n")
}

// flags returns a command's flag set. The flag set prints nothing; parse returns its errors.
func (e *env) flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet("ha-agent "+name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	e.asked = fs
	return fs
}

// parse parses a command's flags, and requires n arguments after them.
func (e *env) parse(fs *flag.FlagSet, args []string, n int) error {
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(e.stdout, "Usage of %s:\n", fs.Name())
		fs.SetOutput(e.stdout)
		fs.PrintDefaults()
		fmt.Fprintf(e.stdout, "\nExample:\n  %s\n", example(strings.Fields(fs.Name())[1]))
		return err
	}
	if err != nil {
		return usage("%s: %v", strings.TrimPrefix(fs.Name(), "ha-agent "), err)
	}
	name := strings.TrimPrefix(fs.Name(), "ha-agent ")
	switch {
	case fs.NArg() < n:
		return usage("cannot run %s: argument %s is missing", name, argumentOf(name))
	case fs.NArg() > n:
		return usage("cannot run %s: unexpected argument %q", name, fs.Arg(n))
	}
	return nil
}

// commandNamed returns the command with a name.
func commandNamed(name string) (command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

// argumentOf returns the name of a command's argument.
func argumentOf(name string) string {
	c, _ := commandNamed(name)
	return c.args
}

func cmdVersion(_ context.Context, e *env, args []string) error {
	if err := e.parse(e.flags("version"), args, 0); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout, version.String())
	return nil
}
