package spec

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/strictyaml"
)

// DecodeYAML accepts true, false, or a mapping.
func (c *Check) DecodeYAML(n *strictyaml.Node) {
	if on, ok := truth(n); ok {
		c.Off = !on
		return
	}
	type plain Check
	n.Decode((*plain)(c))
}

// DecodeYAML accepts true, or a mapping.
func (c *CheckTLS) DecodeYAML(n *strictyaml.Node) {
	switch on, ok := truth(n); {
	case ok && !on:
		n.Problem("must be true or a mapping", "leave the key out: without tls the check uses that of the server")
		return
	case ok:
		return
	}
	type plain CheckTLS
	n.Decode((*plain)(c))
}

// truth returns a value that is true or false.
func truth(n *strictyaml.Node) (value, ok bool) {
	if n.IsMapping() {
		return false, false
	}
	switch text, _ := n.Text(); text {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// DecodeYAML accepts a number, a range such as "8000-8010", or a mapping.
func (p *Port) DecodeYAML(n *strictyaml.Node) {
	if !n.IsMapping() {
		n.Decode(&p.Port)
		return
	}
	type plain Port
	n.Decode((*plain)(p))
}

// DecodeYAML accepts a number, or a range such as "8000-8010".
func (r *PortRange) DecodeYAML(n *strictyaml.Node) {
	text, _ := n.Text()
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	var err1, err2 error
	r.Low, err1 = strconv.Atoi(low)
	r.High, err2 = strconv.Atoi(high)
	if err1 != nil || err2 != nil || strconv.Itoa(r.Low) != low || strconv.Itoa(r.High) != high {
		*r = PortRange{}
		n.Problem(`must be a port, or a range of ports`, `write 443, or "8000-8010"`)
	}
}

// DecodeYAML accepts a mapping of names to values.
func (h *Headers) DecodeYAML(n *strictyaml.Node) {
	var values map[string]any
	n.Decode(&values)
	for _, name := range n.Keys() {
		value, ok := values[name].(string)
		if !ok {
			n.Problem("the value of a header must be text", "put it in quotes")
			return
		}
		*h = append(*h, Header{name, value})
	}
}

// DecodeYAML accepts a status, a range of statuses, a list of both, or a mapping.
func (e *Expect) DecodeYAML(n *strictyaml.Node) {
	if n.IsMapping() {
		type plain Expect
		n.Decode((*plain)(e))
		return
	}
	n.DecodeOne(&e.Status)
}

// DecodeYAML accepts a number, or a range such as "200-299".
func (s *Status) DecodeYAML(n *strictyaml.Node) {
	text, ok := n.Text()
	if !ok {
		n.Problem("must be an HTTP status", `write 200, or "200-299"`)
		return
	}
	*s = Status(text)
}

// DecodeYAML accepts an IP address, a DNS name or a UNIX socket.
func (a *ServerAddress) DecodeYAML(n *strictyaml.Node) {
	text, ok := n.Text()
	if !ok {
		n.Problem("must be an IP address or a DNS name", "write 192.0.2.1, 2001:db8::1 or web1.example.org")
		return
	}
	addr, err := netip.ParseAddr(text)
	switch {
	case err == nil:
		a.Addr = addr
	case socketRule.accepts(text):
		a.Socket = text
	case strings.Trim(text, "0123456789.") == "" || strings.Contains(text, ":") || !dnsRule.accepts(text):
		n.Problem(strictyaml.Quote(text)+" is neither an IP address nor a DNS name", "write 192.0.2.1, 2001:db8::1 or web1.example.org; the port has its own key")
	default:
		a.Name = text
	}
}
