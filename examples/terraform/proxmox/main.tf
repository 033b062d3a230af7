# The nodes of a spec on Proxmox VE, with what bake makes: an image (bake image) and a seed for each node (bake cloud-init).
# The provider takes the address and the credentials from its environment variables (PROXMOX_VE_ENDPOINT, …).

terraform {
  required_version = ">= 1.6"
  required_providers {
    proxmox = {
      source  = "bpg/proxmox"
      version = ">= 0.80.0"
    }
  }
}

variable "datastore" {
  type        = string
  description = "Where the disks go"
  default     = "local-lvm"
}

variable "files" {
  type        = string
  description = "Where the image and the seeds go: a datastore for the content types import and iso"
  default     = "local"
}

variable "image" {
  type        = string
  description = "The golden image, as a qcow2"
}

variable "seeds" {
  type        = string
  description = "The directory that bake cloud-init wrote"
}

variable "nodes" {
  type = map(object({
    host = string
    cards = list(object({
      bridge = string
      mac    = string
    }))
  }))
  description = "The Proxmox host and the network cards of each node, by the node's name in the spec"
}

locals {
  hosts = toset([for node in var.nodes : node.host])
}

resource "proxmox_virtual_environment_file" "image" {
  for_each     = local.hosts
  content_type = "import"
  datastore_id = var.files
  node_name    = each.key

  source_file {
    path = var.image
  }
}

resource "proxmox_virtual_environment_file" "seed" {
  for_each     = var.nodes
  content_type = "iso"
  datastore_id = var.files
  node_name    = each.value.host

  source_file {
    path      = "${var.seeds}/${each.key}/seed.iso"
    file_name = "${each.key}.iso"
  }
}

resource "proxmox_virtual_environment_vm" "node" {
  for_each      = var.nodes
  name          = replace(each.key, "_", "-")
  node_name     = each.value.host
  scsi_hardware = "virtio-scsi-pci"
  boot_order    = ["scsi0"]

  cpu {
    cores = 2
    type  = "host"
  }

  memory {
    dedicated = 1024
  }

  disk {
    datastore_id = var.datastore
    import_from  = proxmox_virtual_environment_file.image[each.value.host].id
    interface    = "scsi0"
    size         = 8
  }

  cdrom {
    file_id   = proxmox_virtual_environment_file.seed[each.key].id
    interface = "ide2"
  }

  dynamic "network_device" {
    for_each = each.value.cards
    content {
      bridge      = network_device.value.bridge
      mac_address = network_device.value.mac
      model       = "virtio"
    }
  }

  operating_system {
    type = "l26"
  }

  serial_device {}
}
