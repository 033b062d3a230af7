# Bakes the golden image of the cluster controllers on Ubuntu 24.04 with Packer's builder qemu.
# Written by `bake packer`. You can edit this file.

packer {
  required_plugins {
    hapair = {
      source  = "github.com/hapair/hapair"
      version = ">= 0.1.0"
    }
    qemu = {
      source  = "github.com/hashicorp/qemu"
      version = ">= 1.0.9"
    }
  }
}

variable "base" {
  description = "The path or URL of the image to boot: qcow2 or raw, with cloud-init."
  type        = string
  default     = "https://cloud-images.ubuntu.com/noble/current/noble-server-cloudimg-amd64.img"
}

variable "base_checksum" {
  description = "Its digest as sha256:…, or file:URL of a list of digests, or none."
  type        = string
  default     = "file:https://cloud-images.ubuntu.com/noble/current/SHA256SUMS"
}

variable "accelerator" {
  description = "kvm, or tcg if there is no hardware virtualisation (ten times slower). Default: kvm if /dev/kvm exists."
  type        = string
  default     = null
}

variable "disk_size" {
  description = "The size of the image's disk, at least the base image's."
  type        = string
  default     = "6G"
}

source "qemu" "golden" {
  iso_url          = var.base
  iso_checksum     = var.base_checksum
  disk_image       = true
  disk_size        = var.disk_size
  format           = "qcow2"
  output_directory = "${path.root}/controllers-noble"
  vm_name          = "controllers-noble.qcow2"

  accelerator = var.accelerator
  cpus        = 2
  memory      = 1024
  net_device  = "virtio-net-pci"
  disk_cache  = "unsafe"
  headless    = true
  disable_vnc = true
  # No boot command is typed. "0s" would mean ten seconds.
  boot_wait = "-1s"

  cd_label = "cidata"
  cd_content = {
    "meta-data" = "instance-id: hapair-build\n"
    "user-data" = "#cloud-config\n${yamlencode({
      disable_root = false
      locale       = "C.UTF-8"
      users        = [{ name = "root", ssh_authorized_keys = [trimspace(file("${path.root}/build-key.pub"))] }]
    })}"
  }

  ssh_username         = "root"
  ssh_private_key_file = "${path.root}/build-key"
  ssh_timeout          = "20m"
  shutdown_command     = "rm -f /root/.ssh/authorized_keys && systemctl poweroff --force"
  shutdown_timeout     = "5m"
}

build {
  name    = "controllers"
  sources = ["source.qemu.golden"]

  provisioner "hapair" {
    spec     = "${path.root}/../controllers.yaml"
    release  = "noble"
    agent    = "/opt/hapair/ha-agent"
    manifest = "${path.root}/controllers-noble.json"
  }
}
