package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hapair/hapair/internal/diag"
)

// reserved are names of accounts that a user cannot have.
func reserved() []string {
	return []string{"root", "daemon", "bin", "sys", "nobody", "sshd", "haproxy", "keepalived", "hapair-check", "syslog",
		"messagebus", "systemd-network", "systemd-resolve", "www-data", "_apt"}
}

func (c check) access() {
	names := map[string]string{}
	for i := range c.s.Access.Users {
		u, path := &c.s.Access.Users[i], fmt.Sprintf("access.users[%d]", i)
		if c.HasError(path) {
			continue
		}
		if c.required(path+".name") && c.name(path+".name", u.Name, loginRule) {
			c.unique(names, path+".name", u.Name, "users")
			if slices.Contains(reserved(), u.Name) {
				c.Problem(path+".name", quote(u.Name)+" is a system account", "use another name; sudo: true allows the user to become root")
			}
		}
		keys := path + ".ssh_authorized_keys"
		if c.required(keys) && len(u.SSHAuthorizedKeys) == 0 {
			c.Problem(keys, "without a key the user cannot log in", "")
		}
		for j, key := range u.SSHAuthorizedKeys {
			p := fmt.Sprintf("%s[%d]", keys, j)
			if message, hint := checkSSHKey(key); message != "" && !c.HasError(p) {
				if privateKey(key) {
					c.Hide(p)
				}
				c.Problem(p, message, hint)
			}
		}
	}
}

// passthrough validates lines that haproxy and keepalived check themselves: they only must be printable text.
func (c check) passthrough() {
	h := c.s.HAProxy
	for _, field := range []struct{ path, text string }{
		{"haproxy.global", h.Global}, {"haproxy.defaults", h.Defaults}, {"haproxy.extra", h.Extra},
		{"haproxy.config", h.Config}, {"keepalived.extra", c.s.Keepalived.Extra},
	} {
		if strings.ContainsRune(field.text, 0) {
			c.Problem(field.path, "contains a NUL character", "")
		}
		if section, ok := map[string]string{"haproxy.global": "global", "haproxy.defaults": "defaults", "haproxy.extra": ""}[field.path]; ok {
			c.keywords(diag.Warning, field.path, section, field.text) // haproxy may come from another source
		}
		if strings.HasPrefix(field.path, "haproxy.") && field.path != "haproxy.config" && field.text != "" && h.Config != "" {
			c.Problem(field.path, "has no effect: haproxy.config replaces the whole file", "write it into "+quote(h.Config))
		}
	}
}
