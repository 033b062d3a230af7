package template

import (
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// stamped is an image's name with the time of the build: images of one name are not allowed, or not told apart.
func stamped(b Build) hclwrite.Tokens {
	name := hclwrite.TokensForValue(cty.StringVal(beginning(b) + "-"))
	stamp := lex(`"${formatdate("YYYYMMDDhhmmss", timestamp())}"`)
	return append(name[:len(name)-1:len(name)-1], stamp[1:]...)
}

func amazonBuilder() builder {
	return builder{
		name:   "amazon-ebs",
		plugin: plugin{"amazon", "github.com/hashicorp/amazon", ">= 1.2.1"},
		variables: func(Build) []variable {
			return []variable{
				must("region", "The region to build in, and to have the image in."),
				may("instance_type", "What the build runs on.", "t3.small"),
				unset("subnet_id", "The subnet of the build; left out, one of the default VPC."),
			}
		},
		source: func(body *hclwrite.Body, b Build) {
			images := b.Release.Images()
			reference(body, "region", "region")
			reference(body, "instance_type", "instance_type")
			reference(body, "subnet_id", "subnet_id")
			body.SetAttributeRaw("ami_name", stamped(b))
			text(body, "ssh_username", images.AMIUser)
			text(body, "temporary_key_pair_type", "ed25519")
			// Packer leaves the build's key in the image unless it is told not to.
			boolean(body, "ssh_clear_authorized_keys", true)
			body.AppendNewline()
			filter := body.AppendNewBlock("source_ami_filter", nil).Body()
			filter.SetAttributeValue("filters", cty.ObjectVal(map[string]cty.Value{
				"name":                cty.StringVal(images.AMIName),
				"root-device-type":    cty.StringVal("ebs"),
				"virtualization-type": cty.StringVal("hvm"),
			}))
			filter.SetAttributeValue("owners", cty.ListVal([]cty.Value{cty.StringVal(images.AMIOwner)}))
			boolean(filter, "most_recent", true)
			body.AppendNewline()
			tags(body, "tags", b)
		},
	}
}

func tags(body *hclwrite.Body, name string, b Build) {
	body.SetAttributeValue(name, cty.ObjectVal(map[string]cty.Value{
		"hapair-cluster": cty.StringVal(b.Cluster),
		"hapair-release": cty.StringVal(b.Release.Name),
	}))
}
