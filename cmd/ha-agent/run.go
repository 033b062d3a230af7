package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/termsafe"
	"github.com/hapair/hapair/internal/version"
)

// command is one of ha-agent's commands.
type command struct {
	name, args, short string
	run               func(ctx context.Context, e *env, args []string) error
}

// env is what a command may touch of the world.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// usage is a wrong use of a command.
func usage(format string, args ...any) error {
	return exitstatus.With(exitstatus.Usage, fmt.Errorf(format, args...))
}

func commands() []command {
	return []command{
		{"run", "", "the daemon: watches, validates, reloads, proves, commits or rolls back", cmdRun},
		{"check", "", "may this node hold virtual IPs? 0: yes, 1: no; what keepalived's track_script runs", cmdCheck},
		{"status", "", "targets, virtual IPs held, VRRP states, the last change and its verdict; 0: healthy, 1: not", cmdStatus},
		{"verify", "", "every step that makes a load balancer, each with ok or not", cmdVerify},
		{"guard", "TARGET", "before a service starts: bad files are set aside and the last known good ones are used", cmdGuard},
		{"release", "", "takes off virtual IPs that keepalived left behind", cmdRelease},
		{"apply", "DIR", "take over a set of files as one change and wait: 0 proven, 1 refused", cmdApply},
		{"maintenance", "on|off", "give the virtual IPs away and stay away, also after a reboot; or come back", cmdMaintenance},
		{"version", "", "print the version, the same for all of hapair's programs", cmdVersion},
	}
}

// run is ha-agent without the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// Much of what is printed comes from daemons and files.
	e := &env{stdin: stdin, stdout: termsafe.Writer(stdout), stderr: termsafe.Writer(stderr)}
	err := dispatch(ctx, e, args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitstatus.OK
	}
	code := exitstatus.Of(err, exitstatus.Failure)
	if msg := err.Error(); msg != "" {
		fmt.Fprintf(stderr, "ha-agent: %s\n", termsafe.Text(msg))
	}
	if code == exitstatus.Usage {
		fmt.Fprintln(stderr, "ha-agent: see 'ha-agent help'")
	}
	return code
}

func dispatch(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 {
		return usage("no command is given")
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		help(e.stdout)
		return nil
	case "-version", "--version":
		return cmdVersion(ctx, e, args[1:])
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, e, args[1:])
		}
	}
	return usage("there is no command %q", args[0])
}

func help(w io.Writer) {
	fmt.Fprint(w, "ha-agent keeps a load balancer true to its configuration.\n\nUsage: ha-agent COMMAND [FLAGS]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-16s %s\n", strings.TrimSpace(c.name+" "+c.args), c.short)
	}
	fmt.Fprint(w, "\n'ha-agent COMMAND -h' tells a command's flags.\nExit status: 0 done, 1 the answer is no, 2 wrong use, 3 could not be carried out.\n")
}

// flags makes a command's flag set. It says nothing by itself: parse tells what is wrong.
func (e *env) flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet("ha-agent "+name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// parse reads a command's flags and wants n arguments after them.
func (e *env) parse(fs *flag.FlagSet, args []string, n int) error {
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(e.stdout, "Usage of %s:\n", fs.Name())
		fs.SetOutput(e.stdout)
		fs.PrintDefaults()
		return err
	}
	if err != nil {
		return usage("%s: %v", strings.TrimPrefix(fs.Name(), "ha-agent "), err)
	}
	name := strings.TrimPrefix(fs.Name(), "ha-agent ")
	switch {
	case fs.NArg() < n:
		return usage("cannot run %s: the argument %s is missing", name, argumentOf(name))
	case fs.NArg() > n:
		return usage("cannot run %s: the argument %q is too many", name, fs.Arg(n))
	}
	return nil
}

// argumentOf is the name of the argument that a command takes.
func argumentOf(name string) string {
	for _, c := range commands() {
		if c.name == name {
			return c.args
		}
	}
	return ""
}

func cmdVersion(_ context.Context, e *env, args []string) error {
	if err := e.parse(e.flags("version"), args, 0); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout, version.String())
	return nil
}
