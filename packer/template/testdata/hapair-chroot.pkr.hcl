# Bakes the golden image of the cluster controllers on Ubuntu 24.04 with Packer's builder hapair-chroot.
# Written by `bake packer`. You can edit this file.

packer {
  required_plugins {
    hapair = {
      source  = "github.com/hapair/hapair"
      version = ">= 0.1.0"
    }
  }
}

variable "base" {
  description = "The base image: bootstrap (from the release's package archive), or the path or URL of an image, raw or qcow2."
  type        = string
  default     = "bootstrap"
}

variable "base_sha256" {
  description = "The SHA-256 digest of the base image; required if it is a URL."
  type        = string
  default     = null
}

source "hapair-chroot" "golden" {
  base        = var.base
  base_sha256 = var.base_sha256
  release     = "noble"
  output      = "${path.root}/controllers-noble.qcow2"
  format      = "qcow2"
  # Files whose digests are in the image's manifest.
  inputs = {
    spec = "${path.root}/../controllers.yaml"
  }
}

build {
  name    = "controllers"
  sources = ["source.hapair-chroot.golden"]

  provisioner "hapair" {
    spec    = "${path.root}/../controllers.yaml"
    release = "noble"
    agent   = "/opt/hapair/ha-agent"
  }
}
