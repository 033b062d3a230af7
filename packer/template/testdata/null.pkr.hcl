# Bakes the golden image of the cluster controllers on Ubuntu 24.04 with Packer's builder null.
# Written by `bake packer`. You can edit this file.

packer {
  required_plugins {
    hapair = {
      source  = "github.com/hapair/hapair"
      version = ">= 0.1.0"
    }
  }
}

variable "ssh_host" {
  description = "The machine to work on. It is sealed at the end: its disk is then the image, and it must not be used as a host any more."
  type        = string
}

variable "ssh_port" {
  description = "The port of its ssh server."
  type        = string
  default     = "22"
}

variable "ssh_username" {
  description = "The login: root, or a user who may run sudo without a password."
  type        = string
  default     = "root"
}

variable "ssh_private_key_file" {
  description = "The private key of that user."
  type        = string
}

source "null" "golden" {
  communicator         = "ssh"
  ssh_host             = var.ssh_host
  ssh_port             = var.ssh_port
  ssh_username         = var.ssh_username
  ssh_private_key_file = var.ssh_private_key_file
}

build {
  name    = "controllers"
  sources = ["source.null.golden"]

  provisioner "hapair" {
    spec     = "${path.root}/../controllers.yaml"
    release  = "noble"
    agent    = "/opt/hapair/ha-agent"
    manifest = "${path.root}/controllers-noble.json"
  }
}
