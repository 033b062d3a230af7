package template

import (
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// chrootBuilder is our own builder: it works in a chroot of the image on the machine that Packer runs on.
func chrootBuilder() builder {
	return builder{
		name:     "hapair-chroot",
		root:     true,
		manifest: true,
		variables: func(Build) []variable {
			return []variable{
				may("base", "What the image is made of: bootstrap (out of the release's archive), or the path or URL of an image, raw or qcow2.", "bootstrap"),
				unset("base_sha256", "The SHA-256 digest of the base image; needed where it is a URL."),
			}
		},
		source: func(body *hclwrite.Body, b Build) {
			reference(body, "base", "base")
			reference(body, "base_sha256", "base_sha256")
			text(body, "release", b.Release.Name)
			body.SetAttributeRaw("output", join("${path.root}/", beginning(b)+".qcow2"))
			text(body, "format", "qcow2")
			comment(body, "What the image's manifest names by its digest.")
			inputs := hclwrite.TokensForObject([]hclwrite.ObjectAttrTokens{{
				Name:  hclwrite.TokensForIdentifier("spec"),
				Value: besideTokens(b.Spec),
			}})
			body.SetAttributeRaw("inputs", inputs)
		},
	}
}
