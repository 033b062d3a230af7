package template

import (
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// userData is the user-data of the build machine: root logs in with a key that is used only for this build. It sets locale
// because cloud-init's default fails on a minimal image.
const userData = `{
    "meta-data" = "instance-id: hapair-build\n"
    "user-data" = "#cloud-config\n${yamlencode({
      disable_root = false
      locale       = "C.UTF-8"
      users        = [{ name = "root", ssh_authorized_keys = [trimspace(file("${path.root}/` + PublicKey + `"))] }]
    })}"
  }`

// shutdown removes the key, and powers off without stopping the services. Stopping services would change the sealed image:
// for example, systemd-random-seed writes its seed.
const shutdown = "rm -f /root/.ssh/authorized_keys && systemctl poweroff --force"

func qemuBuilder() builder {
	return builder{
		name:   "qemu",
		plugin: plugin{"qemu", "github.com/hashicorp/qemu", ">= 1.0.9"},
		key:    true,
		variables: func(b Build) []variable {
			images := b.Release.Images()
			return []variable{
				may("base", "The path or URL of the image to boot: qcow2 or raw, with cloud-init.", images.URL),
				may("base_checksum", "Its digest as sha256:…, or file:URL of a list of digests, or none.", "file:"+images.Sums),
				unset("accelerator", "kvm, or tcg if there is no hardware virtualisation (ten times slower). Default: kvm if /dev/kvm exists."),
				may("disk_size", "The size of the image's disk, at least the base image's.", "6G"),
			}
		},
		source: func(body *hclwrite.Body, b Build) {
			reference(body, "iso_url", "base")
			reference(body, "iso_checksum", "base_checksum")
			boolean(body, "disk_image", true)
			reference(body, "disk_size", "disk_size")
			text(body, "format", "qcow2")
			body.SetAttributeRaw("output_directory", join("${path.root}/", beginning(b)))
			text(body, "vm_name", beginning(b)+".qcow2")
			body.AppendNewline()
			reference(body, "accelerator", "accelerator")
			number(body, "cpus", 2)
			number(body, "memory", 1024)
			text(body, "net_device", "virtio-net-pci")
			text(body, "disk_cache", "unsafe")
			boolean(body, "headless", true)
			boolean(body, "disable_vnc", true)
			comment(body, "No boot command is typed. \"0s\" would mean ten seconds.")
			text(body, "boot_wait", "-1s")
			body.AppendNewline()
			text(body, "cd_label", "cidata")
			expression(body, "cd_content", userData)
			body.AppendNewline()
			text(body, "ssh_username", "root")
			expression(body, "ssh_private_key_file", `"${path.root}/`+PrivateKey+`"`)
			text(body, "ssh_timeout", "20m")
			text(body, "shutdown_command", shutdown)
			text(body, "shutdown_timeout", "5m")
		},
	}
}
