package template

import (
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// chrootBuilder is hapair's own builder, which works in a chroot of the image on the machine on which Packer runs.
func chrootBuilder() builder {
	return builder{
		name:     "hapair-chroot",
		root:     true,
		manifest: true,
		variables: func(Build) []variable {
			return []variable{
				may("base", "The base image: bootstrap (from the release's package archive), or the path or URL of an image, raw or qcow2.", "bootstrap"),
				unset("base_sha256", "The SHA-256 digest of the base image; required if it is a URL."),
			}
		},
		source: func(body *hclwrite.Body, b Build) {
			reference(body, "base", "base")
			reference(body, "base_sha256", "base_sha256")
			text(body, "release", b.Release.Name)
			body.SetAttributeRaw("output", join("${path.root}/", beginning(b)+".qcow2"))
			text(body, "format", "qcow2")
			comment(body, "Files whose digests are in the image's manifest.")
			inputs := hclwrite.TokensForObject([]hclwrite.ObjectAttrTokens{{
				Name:  hclwrite.TokensForIdentifier("spec"),
				Value: besideTokens(b.Spec),
			}})
			body.SetAttributeRaw("inputs", inputs)
		},
	}
}
