package template

import "github.com/hashicorp/hcl/v2/hclwrite"

// openstackBuilder uses the cloud that OpenStack's own tools use: from OS_CLOUD, or from the variables of an openrc file.
func openstackBuilder() builder {
	return builder{
		name:   "openstack",
		plugin: plugin{"openstack", "github.com/hashicorp/openstack", ">= 1.1.2"},
		variables: func(b Build) []variable {
			return []variable{
				must("source_image_name", "The name of the cloud's image of "+b.Release.Title+"."),
				must("network_id", "The network of the build."),
				may("flavor", "The flavor of the build's instance.", "m1.small"),
				unset("floating_ip_network", "The network of the build's floating IP, if it needs one."),
			}
		},
		source: func(body *hclwrite.Body, b Build) {
			reference(body, "source_image_name", "source_image_name")
			reference(body, "flavor", "flavor")
			expression(body, "networks", "[var.network_id]")
			reference(body, "floating_ip_network", "floating_ip_network")
			body.SetAttributeRaw("image_name", stamped(b))
			text(body, "ssh_username", b.Release.Images().User)
			boolean(body, "ssh_clear_authorized_keys", true)
			body.AppendNewline()
			tags(body, "metadata", b)
		},
	}
}
