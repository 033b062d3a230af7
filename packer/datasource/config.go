package datasource

//go:generate go tool packer-sdc mapstructure-to-hcl2 -type Config,DatasourceOutput

import (
	"github.com/hashicorp/packer-plugin-sdk/common"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"
)

// The data source `hapair` provides the user-data, meta-data and network-config of the nodes to builders and templates.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	// The path of the spec: the YAML file that describes the cluster. A relative path is relative to the directory in which
	// Packer was started; use `${path.root}/` for a path relative to the template.
	Spec string `mapstructure:"spec" required:"true"`
	// The name of one node. Default: all nodes of the spec.
	Node string `mapstructure:"node"`
	// The image that the nodes boot from: `golden` (baked from the same spec; the seed adds only the identity) or `stock` (a
	// distribution's own image; the first boot installs everything). Default: `golden`.
	Image string `mapstructure:"image"`
	// The cloud that gets the user-data: `nocloud`, `ec2`, `openstack`, `vmware`, `azure`, `gce` or `hetzner`. User-data
	// above its size limit is an error. Default: `nocloud`.
	Cloud string `mapstructure:"cloud"`
	// The release of the nodes. Default: the spec's.
	Release string `mapstructure:"release"`
	// The http or https URL from which a node with a stock image downloads `ha-agent`.
	AgentURL string `mapstructure:"agent_url"`
	// The SHA-256 digest of the file at `agent_url`, in hexadecimal.
	AgentSHA256 string `mapstructure:"agent_sha256"`

	ctx interpolate.Context
}

// DatasourceOutput is the result of the data source. The keys of each map are the nodes' names.
type DatasourceOutput struct {
	// The names of the nodes, in the order of the spec.
	Nodes []string `mapstructure:"nodes"`
	// The user-data of each node as text. It is empty if the user-data had to be compressed because of the cloud's limit.
	UserData map[string]string `mapstructure:"user_data"`
	// The user-data of each node in base64, compressed or not, for arguments such as `user_data_base64` of other tools.
	UserDataBase64 map[string]string `mapstructure:"user_data_base64"`
	// The meta-data of each node, if the cloud does not generate its own.
	MetaData map[string]string `mapstructure:"meta_data"`
	// The network-config of each node, if the spec describes the node's network and the cloud accepts a network-config.
	NetworkConfig map[string]string `mapstructure:"network_config"`
}
