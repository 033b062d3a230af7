# Bakes the golden image of the cluster controllers on Ubuntu 24.04 with Packer's builder amazon-ebs.
# Written by `bake packer`. You can edit this file.

packer {
  required_plugins {
    hapair = {
      source  = "github.com/hapair/hapair"
      version = ">= 0.1.0"
    }
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.1"
    }
  }
}

variable "region" {
  description = "The region of the build and of the image."
  type        = string
}

variable "instance_type" {
  description = "The instance type for the build."
  type        = string
  default     = "t3.small"
}

variable "subnet_id" {
  description = "The subnet of the build. Default: one of the default VPC."
  type        = string
  default     = null
}

source "amazon-ebs" "golden" {
  region                    = var.region
  instance_type             = var.instance_type
  subnet_id                 = var.subnet_id
  ami_name                  = "controllers-noble-${formatdate("YYYYMMDDhhmmss", timestamp())}"
  ssh_username              = "ubuntu"
  temporary_key_pair_type   = "ed25519"
  ssh_clear_authorized_keys = true

  source_ami_filter {
    filters = {
      name                = "ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-amd64-server-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["099720109477"]
    most_recent = true
  }

  tags = {
    hapair-cluster = "controllers"
    hapair-release = "noble"
  }
}

build {
  name    = "controllers"
  sources = ["source.amazon-ebs.golden"]

  provisioner "hapair" {
    spec     = "${path.root}/../controllers.yaml"
    release  = "noble"
    agent    = "/opt/hapair/ha-agent"
    manifest = "${path.root}/controllers-noble.json"
  }
}
