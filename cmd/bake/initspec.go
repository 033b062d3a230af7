package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/hapair/hapair/internal/exitstatus"
	"github.com/hapair/hapair/internal/spec"
)

// firstSpec is what a first spec is made of, as flags or answers give it.
type firstSpec struct {
	cluster string
	nodes   []string // NAME=ADDRESS/PREFIX@INTERFACE
	vips    []string // NAME=ADDRESS/PREFIX
	service []string // NAME=VIP:PORT/MODE,SERVER:PORT,…
}

// wanted reports whether a spec is to be made rather than an example printed.
func (f *firstSpec) wanted() bool { return len(f.nodes)+len(f.vips)+len(f.service) > 0 }

// ask asks for each part on a terminal. An empty answer ends a list.
func (f *firstSpec) ask(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	question := func(text string) string {
		fmt.Fprint(out, text+" ")
		if !lines.Scan() {
			return ""
		}
		return strings.TrimSpace(lines.Text())
	}
	list := func(text, next string) []string {
		var all []string
		for answer := question(text); answer != ""; answer = question(next) {
			all = append(all, answer)
		}
		return all
	}
	f.cluster = question("Name of the cluster:")
	f.nodes = list("First node, as in lb1=10.0.0.11/24@ens3:", "Next node (empty: no more):")
	f.vips = list("First virtual IP, as in www=10.0.0.10/24:", "Next virtual IP (empty: no more):")
	f.service = list("First service, as in web=www:80/http,10.0.0.21:8080,10.0.0.22:8080:", "Next service (empty: no more):")
	return lines.Err()
}

// write makes the spec of it. What is missing, or has another form, is an error; what is wrong in it, the spec's own rules say.
func (f *firstSpec) write() ([]byte, error) {
	var b bytes.Buffer
	cluster := f.cluster
	if cluster == "" {
		cluster = "cluster"
	}
	fmt.Fprintf(&b, "# Written by bake init. Every key is described by 'bake explain' and in docs/spec.md.\napiVersion: hapair/v1\ncluster: %s\n", quoted(cluster))
	b.WriteString("\n# The load balancers, at least two. VRRP is spoken on their addresses.\nnodes:\n")
	for _, node := range f.nodes {
		name, rest, ok1 := strings.Cut(node, "=")
		address, iface, ok2 := strings.Cut(rest, "@")
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("cannot read the node %q: write NAME=ADDRESS/PREFIX@INTERFACE, as in lb1=10.0.0.11/24@ens3", node)
		}
		fmt.Fprintf(&b, "  - {name: %s, address: %s, interface: %s}\n", quoted(name), quoted(address), quoted(iface))
	}
	b.WriteString("\n# The virtual IPs, each on one node at a time.\nvips:\n")
	for _, vip := range f.vips {
		name, address, ok := strings.Cut(vip, "=")
		if !ok {
			return nil, fmt.Errorf("cannot read the virtual IP %q: write NAME=ADDRESS/PREFIX, as in www=10.0.0.10/24", vip)
		}
		fmt.Fprintf(&b, "  - {name: %s, address: %s}\n", quoted(name), quoted(address))
	}
	b.WriteString("\n# What is balanced. More fields: bake explain services\nservices:\n")
	for _, service := range f.service {
		if err := writeService(&b, service); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func writeService(b *bytes.Buffer, service string) error {
	bad := fmt.Errorf("cannot read the service %q: write NAME=VIP:PORT/MODE,SERVER:PORT,…, as in web=www:80/http,10.0.0.21:8080,10.0.0.22:8080", service)
	name, rest, ok := strings.Cut(service, "=")
	parts := strings.Split(rest, ",")
	place, mode, _ := strings.Cut(parts[0], "/")
	vip, port, ok2 := strings.Cut(place, ":")
	if !ok || !ok2 || len(parts) < 2 {
		return bad
	}
	fmt.Fprintf(b, "  - name: %s\n    vip: %s\n    port: %s\n", quoted(name), quoted(vip), plainNumber(port))
	if mode != "" {
		fmt.Fprintf(b, "    mode: %s\n", quoted(mode))
	}
	b.WriteString("    servers:\n")
	for i, server := range parts[1:] {
		host, port, err := net.SplitHostPort(server)
		if err != nil {
			host, port = strings.Trim(server, "[]"), ""
		}
		if host == "" {
			return bad
		}
		fmt.Fprintf(b, "      - {name: %s, address: %s", quoted(fmt.Sprintf("%s%d", name, i+1)), quoted(host))
		if port != "" {
			fmt.Fprintf(b, ", port: %s", plainNumber(port))
		}
		b.WriteString("}\n")
	}
	return nil
}

// quoted is a text in YAML, in quotes unless it is a plain word.
func quoted(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./") == "" && strings.Trim(s, "0123456789.") != "" {
		switch strings.ToLower(s) {
		case "true", "false", "yes", "no", "on", "off", "null", "y", "n":
		default:
			return s
		}
	}
	return fmt.Sprintf("%q", s)
}

// plainNumber is a number as it is written, or a text for the spec's rules to refuse.
func plainNumber(s string) string {
	if s != "" && strings.Trim(s, "0123456789") == "" && len(s) < 10 && s[0] != '0' {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// initSpec writes a spec of flags or answers, if it is valid.
func (e *env) initSpec(f *firstSpec, output string) error {
	data, err := f.write()
	if err != nil {
		return exitstatus.With(exitstatus.Usage, err)
	}
	name := output
	if name == "" {
		name = "spec.yaml"
	}
	_, problems := spec.Parse(name, data, spec.Sources{})
	if err := e.tell(problems); err != nil {
		return err
	}
	return e.writeSpec(output, data)
}
