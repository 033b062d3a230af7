package template

import (
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// stamped returns an image's name with the time of the build, because two images with the same name are not allowed or
// cannot be distinguished.
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
				must("region", "The region of the build and of the image."),
				may("instance_type", "The instance type for the build.", "t3.small"),
				unset("subnet_id", "The subnet of the build. Default: one of the default VPC."),
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
			// Without this option, Packer leaves the build's key in the image.
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
