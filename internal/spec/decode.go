package spec

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hapair/hapair/internal/strictyaml"
)

// DecodeYAML accepts "192.0.2.1" or "192.0.2.1/24".
func (a *Address) DecodeYAML(n *strictyaml.Node) {
	text, ok := n.Text()
	if !ok {
		n.Problem("must be an IP address", "write it as 192.0.2.1/24 or 2001:db8::1/64")
		return
	}
	ip, bits, prefixed := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(ip)
	switch {
	case err != nil:
		n.Problem(strictyaml.Quote(text)+" is not an IP address", "write it as 192.0.2.1/24 or 2001:db8::1/64")
		return
	case addr.Zone() != "":
		n.Problem("an address with a zone is not allowed", "leave out %"+addr.Zone()+"; the interface has its own key")
		return
	case addr.Is4In6():
		n.Problem("an IPv4 address written as IPv6 is not allowed", "write "+addr.Unmap().String())
		return
	}
	a.Addr = addr
	if !prefixed {
		return
	}
	length, err := strconv.Atoi(bits)
	if err != nil || length < 1 || length > addr.BitLen() || strconv.Itoa(length) != bits {
		n.Problem(strictyaml.Quote(bits)+" is not a prefix length", "must be 1 to "+strconv.Itoa(addr.BitLen()))
		return
	}
	a.Bits = length
}

// DecodeYAML accepts a target, or a mapping of address and facility.
func (l *Log) DecodeYAML(n *strictyaml.Node) {
	if text, ok := n.Text(); ok {
		l.Target = text
		return
	}
	type plain Log
	n.Decode((*plain)(l))
}

// DecodeYAML accepts the name of an interface, or a mapping that describes one.
func (i *Interface) DecodeYAML(n *strictyaml.Node) {
	if !n.IsMapping() {
		n.Decode(&i.Name)
		return
	}
	type plain Interface
	n.Decode((*plain)(i))
	if mac, err := net.ParseMAC(i.MAC); err == nil {
		i.MAC = mac.String() // in lower case, with colons
	}
}

// DecodeYAML accepts a command, or a mapping.
func (o *OnChange) DecodeYAML(n *strictyaml.Node) {
	if !n.IsMapping() {
		n.Decode(&o.Command)
		return
	}
	type plain OnChange
	n.Decode((*plain)(o))
}

// DecodeYAML accepts {file: PATH} or {env: NAME}. Any other value may be the secret itself, so messages do not quote it.
func (s *Secret) DecodeYAML(n *strictyaml.Node) {
	const hint = "refer to it: {file: secrets/stats} or {env: STATS_PASSWORD}"
	keys := n.Keys()
	switch {
	case !n.IsMapping():
		n.Problem("a literal secret is not allowed: specs are shared and committed", hint)
		return
	case len(keys) != 1 || keys[0] != "file" && keys[0] != "env":
		n.Problem("must be {file: PATH} or {env: NAME}", hint)
		return
	}
	var ref struct {
		File string `yaml:"file"`
		Env  string `yaml:"env"`
	}
	n.Decode(&ref)
	s.File, s.Env = ref.File, ref.Env
}
