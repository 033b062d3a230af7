// Package cloudinit carries a recipe to a machine by cloud-init: user-data, meta-data, network-config, and a NoCloud seed
// that holds them. It knows nothing of what the recipe's files and units are for.
package cloudinit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/hapair/hapair/internal/recipe"
)

// Image is what user-data finds on the machine when it boots for the first time.
type Image string

const (
	// Golden is an image that was baked from the image's recipe: only the node's identity is missing.
	Golden Image = "golden"
	// Stock is a distribution's own cloud image: everything is missing.
	Stock Image = "stock"
)

// ParseImage reads the name of an image's kind.
func ParseImage(name string) (Image, error) {
	switch i := Image(name); i {
	case Golden, Stock:
		return i, nil
	}
	return "", fmt.Errorf("cannot use %q as an image: known are %s and %s", name, Golden, Stock)
}

// Agent is the agent's program and how a stock machine comes by it.
type Agent struct {
	// SHA256 is the digest of the program, in hex. The machine checks it before it installs the program.
	SHA256 string
	// URL is where the machine fetches the program. Empty: it lies in the seed.
	URL string
	// Program is what the seed carries. Nil where URL is given.
	Program []byte
}

// Options say for what user-data is made.
type Options struct {
	Image Image
	Cloud Cloud
	// Agent is needed for a stock image, and left alone for a golden one.
	Agent Agent
	// CloudConfig is the user's own #cloud-config, merged; see merge.
	CloudConfig map[string]any
}

// Seed is what cloud-init is given for one node.
type Seed struct {
	Hostname string
	UserData []byte
	// Gzip tells that UserData is compressed; cloud-init unpacks it by itself.
	Gzip     bool
	MetaData []byte
	// NetworkConfig is nil where the platform's own network configuration holds.
	NetworkConfig []byte
	// Agent is the agent's program, beside the user-data; nil where the machine has it already or fetches it.
	Agent []byte
	// Volume tells that the seed is read from a volume: seed.iso.
	Volume bool
	// Notes are for the person who asked for the seed.
	Notes []string
}

// Generate makes a node's seed. r is the node's recipe for a golden image, and the image's with the node's over it for a
// stock one. What is wrong with o.CloudConfig comes as diag.Problems, all at once.
func Generate(r recipe.Recipe, o Options) (Seed, error) {
	if r.Hostname == "" {
		return Seed{}, errors.New("cannot make user-data of a recipe without a host name: it is an image's, not a node's")
	}
	if a := o.Agent; o.Image == Stock && r.Agent != "" && (a.SHA256 == "" || (a.URL == "" && a.Program == nil)) {
		return Seed{}, fmt.Errorf("cannot make user-data that installs %s: neither the program nor a URL with its digest is given", r.Agent)
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
		s.Agent = o.Agent.Program
	}
	if err := s.identify(r, o); err != nil {
		return Seed{}, err
	}
	return s, nil
}

// metaData is the NoCloud (and VMware) data source's meta-data.
type metaData struct {
	InstanceID    string         `yaml:"instance-id"`
	LocalHostname string         `yaml:"local-hostname"`
	Network       map[string]any `yaml:"network,omitempty"` // read by the data source VMware only
}

// identify fills in what tells the instance apart, where the cloud leaves that to us.
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
			s.Notes = append(s.Notes, fmt.Sprintf("%s takes no network-config: give %s its addresses and interfaces there", o.Cloud.Name, r.Hostname))
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

// instanceID is the same for equal content, and another as soon as anything of it changes: cloud-init applies
// user-data once for each instance-id, so a changed identity is applied anew and an unchanged one is not.
func instanceID(hostname string, parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		// The length keeps two parts from being taken for two others of the same bytes.
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	return hostname + "-" + hex.EncodeToString(h.Sum(nil))[:16]
}

// SeedFile is one file of a seed.
type SeedFile struct {
	Name    string
	Content []byte
	// Secret files hold password hashes.
	Secret bool
}

// Files lists the seed's files by the names that cloud-init looks for.
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
