// Package cloudinit delivers a recipe to a machine through cloud-init: as user-data, meta-data, network-config, and a
// NoCloud seed that contains them. It does not depend on the purpose of the recipe's files and units.
package cloudinit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/recipe"
)

// Image is the kind of image that the machine boots from at first boot.
type Image string

const (
	// Golden is an image that was baked from the image's recipe. Only the node's identity is missing.
	Golden Image = "golden"
	// Stock is a distribution's own cloud image. Everything is missing.
	Stock Image = "stock"
)

// ParseImage parses the name of an image kind.
func ParseImage(name string) (Image, error) {
	switch i := Image(name); i {
	case Golden, Stock:
		return i, nil
	}
	return "", fmt.Errorf("cannot use %q as an image: must be %s or %s", name, Golden, Stock)
}

// Agent describes the agent, and how a stock machine gets it.
type Agent struct {
	// SHA256 is the digest of the package or program, in hex. The machine checks it before it installs the agent.
	SHA256 string
	// URL is the URL from which the machine downloads the agent: its Debian package if the path ends with .deb, otherwise the
	// program, which dpkg does not know. If it is empty, the package is in the seed.
	URL string
	// Package is the Debian package in the seed. It is nil if URL is set.
	Package []byte
}

// isPackage reports whether the machine gets the agent as a Debian package.
func (a Agent) isPackage() bool {
	u, err := url.Parse(a.URL)
	return a.URL == "" || err == nil && strings.HasSuffix(u.Path, ".deb")
}

// Options are the options for Generate.
type Options struct {
	Image Image
	Cloud Cloud
	// Agent is required for a stock image, and ignored for a golden one.
	Agent Agent
	// CloudConfig is the user's own #cloud-config, which is merged into the document; see merge.
	CloudConfig map[string]any
}

// Seed is the data for cloud-init on one node.
type Seed struct {
	Hostname string
	UserData []byte
	// Gzip reports whether UserData is compressed. cloud-init decompresses it.
	Gzip     bool
	MetaData []byte
	// NetworkConfig is nil if the platform configures the network.
	NetworkConfig []byte
	// Agent is the agent's package, beside the user-data. It is nil if the machine already has it or downloads it.
	Agent []byte
	// Volume reports whether the seed is read from a volume: seed.iso.
	Volume bool
	// Notes are messages for the user.
	Notes []string
}

// Generate generates a node's seed. r is the node's recipe for a golden image, and the merged recipes of image and node for
// a stock image. Problems in o.CloudConfig are returned as diag.Problems, all at once.
func Generate(r recipe.Recipe, o Options) (Seed, error) {
	if r.Hostname == "" {
		return Seed{}, errors.New("cannot generate user-data: the recipe has no host name, so it is the recipe of an image and not of a node")
	}
	if a := o.Agent; o.Image == Stock && r.Agent != "" && (a.SHA256 == "" || (a.URL == "" && a.Package == nil)) {
		return Seed{}, fmt.Errorf("cannot generate user-data that installs %s: it needs the package, or a URL with a digest", r.Agent)
	}
	doc, err := newDocument(r, o, plainFiles)
	if err != nil {
		return Seed{}, err
	}
	s := Seed{Hostname: r.Hostname}
	if s.UserData, s.Gzip, err = o.Cloud.fit(r.Hostname, doc, func() ([]byte, error) { return newDocument(r, o, packedFiles) }); err != nil {
		return Seed{}, err
	}
	if o.Image == Stock {
		s.Agent = o.Agent.Package
	}
	if err := s.identify(r, o); err != nil {
		return Seed{}, err
	}
	return s, nil
}

// metaData is the meta-data of the NoCloud and VMware data sources.
type metaData struct {
	InstanceID    string         `yaml:"instance-id"`
	LocalHostname string         `yaml:"local-hostname"`
	Network       map[string]any `yaml:"network,omitempty"` // used only by the VMware data source
}

// identify sets the meta-data and network-config, if the cloud accepts them.
func (s *Seed) identify(r recipe.Recipe, o Options) error {
	var network []byte
	var err error
	if r.Network != nil {
		if network, err = marshal(map[string]any{"network": r.Network.Config}); err != nil {
			return fmt.Errorf("cannot write the network-config of %s: %w", r.Hostname, err)
		}
	}
	var agent []byte
	if o.Image == Stock {
		agent = []byte(o.Agent.SHA256)
	}
	meta := metaData{LocalHostname: r.Hostname, InstanceID: instanceID(r.Hostname, s.UserData, network, agent)}
	switch o.Cloud.meta {
	case metaNone:
		if network != nil {
			s.Notes = append(s.Notes, fmt.Sprintf("%s does not accept a network-config: configure the addresses and interfaces of %s in the cloud", o.Cloud.Name, r.Hostname))
		}
		return nil
	case metaWithNetwork:
		if r.Network != nil {
			meta.Network = r.Network.Config
		}
	case metaAndNetwork:
		s.NetworkConfig, s.Volume = network, true
	}
	if s.MetaData, err = marshal(meta); err != nil {
		return fmt.Errorf("cannot write the meta-data of %s: %w", r.Hostname, err)
	}
	return nil
}

// instanceID returns an ID that depends only on the content. cloud-init applies user-data once for each instance-id, so it
// applies a changed identity again, and an unchanged identity only once.
func instanceID(hostname string, parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		// The length is hashed too, so that parts that are split differently give different IDs.
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	return hostname + "-" + hex.EncodeToString(h.Sum(nil))[:16]
}

// SeedFile is one file of a seed.
type SeedFile struct {
	Name    string
	Content []byte
	// Secret reports whether the file contains password hashes.
	Secret bool
}

// Files returns the seed's files by the names that cloud-init expects.
func (s Seed) Files() []SeedFile {
	files := []SeedFile{{Name: "user-data", Content: s.UserData, Secret: true}}
	if s.MetaData != nil {
		files = append(files, SeedFile{Name: "meta-data", Content: s.MetaData})
	}
	if s.NetworkConfig != nil {
		files = append(files, SeedFile{Name: "network-config", Content: s.NetworkConfig})
	}
	if s.Agent != nil {
		files = append(files, SeedFile{Name: agentFile, Content: s.Agent})
	}
	return files
}

func marshal(v any) ([]byte, error) {
	var n yaml.Node
	if err := n.Encode(v); err != nil {
		return nil, err
	}
	return encode(&n)
}
