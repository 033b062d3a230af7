package datasource

//go:generate go tool packer-sdc mapstructure-to-hcl2 -type Config,DatasourceOutput

import (
	"github.com/hashicorp/packer-plugin-sdk/common"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"
)

// The data source `hapair` hands the user-data, meta-data and
// network-config of the nodes to builders and templates.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`
	// The path of the spec: the YAML file that describes the cluster. A
	// relative path begins where Packer was started; `${path.root}/` makes it
	// begin beside the template.
	Spec string `mapstructure:"spec" required:"true"`
	// The name of one node. Default: all nodes of the spec.
	Node string `mapstructure:"node"`
	// What the node boots from: `golden` (an image that was baked from the
	// same spec: only the node's identity is missing) or `stock` (a
	// distribution's own image: everything is missing). Default: `golden`.
	Image string `mapstructure:"image"`
	// Where the user-data is handed in: `nocloud`, `ec2`, `openstack`,
	// `vmware`, `azure`, `gce` or `hetzner`. User-data over its limit is an
	// error. Default: `nocloud`.
	Cloud string `mapstructure:"cloud"`
	// The release to write for. Default: the spec's.
	Release string `mapstructure:"release"`
	// Where a stock image fetches `ha-agent`, an http or https URL.
	AgentURL string `mapstructure:"agent_url"`
	// The SHA-256 digest of what is fetched there, in hexadecimal digits.
	AgentSHA256 string `mapstructure:"agent_sha256"`

	ctx interpolate.Context
}

// DatasourceOutput is what the data source hands out. Each map has the nodes' names as its keys.
type DatasourceOutput struct {
	// The names of the nodes, in the order of the spec.
	Nodes []string `mapstructure:"nodes"`
	// The user-data of each node as text. It is empty where a cloud's limit
	// made it necessary to compress it.
	UserData map[string]string `mapstructure:"user_data"`
	// The user-data of each node in base64, compressed or not: what
	// `user_data_base64` of other tools takes.
	UserDataBase64 map[string]string `mapstructure:"user_data_base64"`
	// The meta-data of each node, where the cloud leaves it to us.
	MetaData map[string]string `mapstructure:"meta_data"`
	// The network-config of each node, where the spec says enough for one and
	// the cloud takes it.
	NetworkConfig map[string]string `mapstructure:"network_config"`
}
