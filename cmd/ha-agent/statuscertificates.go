package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/agent/control"
)

// printCertificates prints the certificates that haproxy serves, with what is or will soon be wrong with them.
func printCertificates(w io.Writer, all []control.Certificate, now time.Time) {
	if len(all) == 0 {
		return
	}
	t := newTable(w)
	defer t.Flush()
	fmt.Fprintln(t)
	t.row("CERTIFICATE", "EXPIRES", "NAMES", "SERIAL")
	for _, c := range all {
		expires, names := c.NotAfter.Format(time.DateOnly), strings.Join(c.Names, " ")
		switch why, soon := c.Problem(now), c.Warning(now); {
		case c.Placeholder:
			expires, names = "PLACEHOLDER", "install the real certificate"
		case why != "":
			expires, names = "NOT VALID", why
		case soon != "":
			expires = "SOON: " + expires
		}
		t.row(c.Path, expires, names, c.Serial)
	}
}
