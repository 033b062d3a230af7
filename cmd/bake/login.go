package main

import (
	"github.com/spf13/pflag"

	"github.com/hapair/hapair/internal/remote"
)

// loginFlags adds the flags for ssh to a command, and returns the login that they fill in.
func loginFlags(flags *pflag.FlagSet) *remote.Login {
	l := &remote.Login{}
	flags.StringVar(&l.User, "user", "", "log in as `USER` (default: ssh's own)")
	flags.StringVar(&l.Config, "ssh-config", "", "`FILE` that ssh reads instead of its default configuration")
	flags.DurationVar(&l.Timeout, "timeout", remote.DefaultTimeout, "time limit for each command on a node")
	return l
}
