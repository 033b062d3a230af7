// Package packages describes hapair's Debian packages: ha-agent for nodes, and hapair-bake for the operator's machine.
package packages

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/hapair/hapair/internal/deb"
	"github.com/hapair/hapair/internal/version"
	"github.com/hapair/hapair/internal/wellknown"
	"github.com/hapair/hapair/units"
)

//go:embed files
var content embed.FS

// Names of the packages.
const (
	AgentName = "ha-agent"
	BakeName  = "hapair-bake"
)

// Time is the modification time of all files in packages and archives of this version, so that whoever builds them gets the same
// bytes.
var Time = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Agent returns the package of ha-agent, with the program and all files that hapair ships for every node. It needs nothing but
// the program: `bake image` makes it from the ha-agent that it installs.
func Agent(program []byte) (*deb.Package, error) {
	arch, err := architecture(program)
	if err != nil {
		return nil, fmt.Errorf("cannot make the package %s: %w", AgentName, err)
	}
	p := &deb.Package{
		Control: control(AgentName, arch,
			deb.Field{Name: "Depends", Value: "haproxy (>= 2.4), keepalived (>= 1:2.2.4), systemd"},
			deb.Field{Name: "Suggests", Value: "nftables, openssl"},
			deb.Field{Name: "Description", Value: `agent for haproxy and keepalived on highly available load balancers
ha-agent tests every change to the configuration of haproxy and keepalived,
reloads the daemon, and proves that it runs the new configuration. keepalived
asks it whether this node may hold a virtual IP.

It does nothing until /etc/ha-agent/agent.yaml exists, which bake writes.
Without that file keepalived does not start again.`}),
		Scripts: map[string]string{},
		Files: []deb.File{
			{Path: wellknown.Agent, Mode: 0o755, Content: program},
			compressed("/usr/share/man/man8/ha-agent.8.gz", shipped("ha-agent.8")),
			{Path: "/usr/share/bash-completion/completions/ha-agent", Mode: 0o644, Content: shipped("ha-agent.bash")},
			copyright(AgentName),
		},
		Time: Time,
	}
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		p.Scripts[name] = string(shipped("ha-agent-" + name + ".sh"))
	}
	for _, f := range units.Packaged() {
		p.Files = append(p.Files, deb.File{Path: f.Path, Mode: f.Mode, Content: f.Content, Conffile: strings.HasPrefix(f.Path, "/etc/")})
	}
	return p, nil
}

// AgentFile returns the package of ha-agent as a file.
func AgentFile(program []byte) ([]byte, error) {
	p, err := Agent(program)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		return nil, fmt.Errorf("cannot make the package %s: %w", AgentName, err)
	}
	return b.Bytes(), nil
}

// Tools are the files of the operator's machine.
type Tools struct {
	Bake, Agent []byte // the programs, for one architecture
	// Shared has files that are the same on all architectures, by path: man pages, completion, documentation.
	Shared map[string][]byte
}

// AgentForImages is the path of the ha-agent that bake installs into images. It is not in PATH, because the operator's
// machine is not a node.
const AgentForImages = "/usr/lib/hapair/ha-agent"

// Bake returns the package of bake.
func Bake(t Tools) (*deb.Package, error) {
	arch, err := architecture(t.Bake)
	if err != nil {
		return nil, fmt.Errorf("cannot make the package %s: %w", BakeName, err)
	}
	p := &deb.Package{
		Control: control(BakeName, arch,
			// What scripts/setup installs for baking, and what the drill, signatures and verify need.
			deb.Field{Name: "Recommends", Value: "ca-certificates, debian-archive-keyring, dosfstools, e2fsprogs, fdisk, iproute2, mmdebstrap, mtools, openssh-client, qemu-utils, systemd-container, ubuntu-keyring | ubuntu-archive-keyring, util-linux, xorriso"},
			deb.Field{Name: "Suggests", Value: "haproxy, keepalived, packer"},
			deb.Field{Name: "Description", Value: `golden images and first-boot configuration of load balancers
bake turns one YAML file into images and cloud-init configuration of highly
available load balancers, with haproxy and keepalived. It also tests them: a
drill boots the cluster on this machine and causes faults.`}),
		Files: []deb.File{
			{Path: "/usr/bin/bake", Mode: 0o755, Content: t.Bake},
			{Path: AgentForImages, Mode: 0o755, Content: t.Agent},
			copyright(BakeName),
		},
		Time: Time,
	}
	for name, data := range t.Shared {
		p.Files = append(p.Files, deb.File{Path: name, Mode: 0o644, Content: data})
	}
	return p, nil
}

func control(name, arch string, more ...deb.Field) []deb.Field {
	return append([]deb.Field{
		{Name: "Package", Value: name},
		{Name: "Version", Value: version.Version},
		{Name: "Architecture", Value: arch},
		{Name: "Maintainer", Value: "hapair <hapair@users.noreply.github.com>"},
		{Name: "Section", Value: "net"},
		{Name: "Priority", Value: "optional"},
		{Name: "Homepage", Value: "https://github.com/hapair/hapair"},
	}, more...)
}

// architecture returns Debian's name of the architecture that a program is built for.
func architecture(program []byte) (string, error) {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return "", fmt.Errorf("the program is not an ELF file: %w", err)
	}
	switch f.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	}
	return "", fmt.Errorf("the program is built for %v: must be amd64 or arm64", f.Machine)
}

func copyright(name string) deb.File {
	return deb.File{Path: "/usr/share/doc/" + name + "/copyright", Mode: 0o644, Content: shipped("copyright")}
}

func shipped(name string) []byte {
	b, err := fs.ReadFile(content, path.Join("files", name))
	if err != nil {
		panic(fmt.Sprintf("%s is not embedded", name))
	}
	return b
}

func compressed(name string, data []byte) deb.File {
	return deb.File{Path: name, Mode: 0o644, Content: Gzip(data)}
}

// Gzip compresses data without a name and a time.
func Gzip(data []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a buffer takes everything
	}
	return b.Bytes()
}
