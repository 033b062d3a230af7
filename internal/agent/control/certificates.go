package control

import (
	"fmt"
	"strings"
	"time"
)

// Certificate is a certificate that haproxy serves, or presents to servers.
type Certificate struct {
	Path      string    `json:"path"`
	Why       string    `json:"why,omitempty"` // why it could not be read; the other fields are then empty
	Names     []string  `json:"names,omitempty"`
	Issuer    string    `json:"issuer,omitempty"`
	Serial    string    `json:"serial,omitempty"` // hexadecimal, in capitals
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	// Placeholder reports whether the file is a placeholder, because the real certificate was never installed.
	Placeholder bool `json:"placeholder,omitempty"`
}

// ExpiresSoon is how long before its expiry a certificate is reported. Let's Encrypt's are renewed 30 days before it, so
// one that reaches this age was not renewed.
const ExpiresSoon = 14 * 24 * time.Hour

// Problem returns what is wrong with the certificate at a time, or "".
func (c *Certificate) Problem(now time.Time) string {
	switch {
	case c.Why != "":
		return "it cannot be read: " + c.Why
	case c.Placeholder:
		return "a placeholder is in service: the real certificate was never installed"
	case now.After(c.NotAfter):
		return "it expired at " + c.NotAfter.Format(time.RFC3339)
	case now.Before(c.NotBefore):
		return "it is not valid before " + c.NotBefore.Format(time.RFC3339)
	}
	return ""
}

// Warning returns what will be wrong with the certificate soon, or "".
func (c *Certificate) Warning(now time.Time) string {
	if c.Problem(now) == "" && now.Add(ExpiresSoon).After(c.NotAfter) {
		return fmt.Sprintf("it expires in %d days, at %s", int(c.NotAfter.Sub(now).Hours()/24), c.NotAfter.Format(time.RFC3339))
	}
	return ""
}

// String returns the names, the expiry and the serial number.
func (c *Certificate) String() string {
	return fmt.Sprintf("%s, until %s, serial %s", strings.Join(c.Names, " "), c.NotAfter.Format(time.DateOnly), c.Serial)
}
