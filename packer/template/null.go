package template

import "github.com/hashicorp/hcl/v2/hclwrite"

// nullBuilder is Packer's builder that builds nothing: the provisioner works on a running machine.
func nullBuilder() builder {
	return builder{
		name: "null",
		variables: func(Build) []variable {
			return []variable{
				must("ssh_host", "The machine to work on. It is sealed at the end: its disk is then the image, and it must not be used as a host any more."),
				may("ssh_port", "The port of its ssh server.", "22"),
				may("ssh_username", "The login: root, or a user who may run sudo without a password.", "root"),
				must("ssh_private_key_file", "The private key of that user."),
			}
		},
		source: func(body *hclwrite.Body, _ Build) {
			text(body, "communicator", "ssh")
			for _, name := range []string{"ssh_host", "ssh_port", "ssh_username", "ssh_private_key_file"} {
				reference(body, name, name)
			}
		},
	}
}
