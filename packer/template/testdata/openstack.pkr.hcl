# Bakes the golden image of the cluster controllers on Ubuntu 24.04 with Packer's builder openstack.
# Written by `bake packer`. You can edit this file.

packer {
  required_plugins {
    hapair = {
      source  = "github.com/hapair/hapair"
      version = ">= 0.1.0"
    }
    openstack = {
      source  = "github.com/hashicorp/openstack"
      version = ">= 1.1.2"
    }
  }
}

variable "source_image_name" {
  description = "The name of the cloud's image of Ubuntu 24.04."
  type        = string
}

variable "network_id" {
  description = "The network of the build."
  type        = string
}

variable "flavor" {
  description = "The flavor of the build's instance."
  type        = string
  default     = "m1.small"
}

variable "floating_ip_network" {
  description = "The network of the build's floating IP, if it needs one."
  type        = string
  default     = null
}

source "openstack" "golden" {
  source_image_name         = var.source_image_name
  flavor                    = var.flavor
  networks                  = [var.network_id]
  floating_ip_network       = var.floating_ip_network
  image_name                = "controllers-noble-${formatdate("YYYYMMDDhhmmss", timestamp())}"
  ssh_username              = "ubuntu"
  ssh_clear_authorized_keys = true

  metadata = {
    hapair-cluster = "controllers"
    hapair-release = "noble"
  }
}

build {
  name    = "controllers"
  sources = ["source.openstack.golden"]

  provisioner "hapair" {
    spec     = "${path.root}/../controllers.yaml"
    release  = "noble"
    agent    = "/opt/hapair/ha-agent"
    manifest = "${path.root}/controllers-noble.json"
  }
}
