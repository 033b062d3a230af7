# The nodes of a spec on libvirt, with what bake makes: an image (bake image) and a seed for each node (bake cloud-init).

terraform {
  required_version = ">= 1.6"
  required_providers {
    libvirt = {
      source  = "dmacvicar/libvirt"
      version = "~> 0.8.0"
    }
  }
}

variable "uri" {
  type        = string
  description = "The libvirt daemon"
  default     = "qemu:///system"
}

variable "pool" {
  type        = string
  description = "The storage pool for the disks"
  default     = "default"
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
  type = map(list(object({
    network = string
    mac     = string
  })))
  description = "The network cards of each node, by the node's name in the spec"
}

variable "firmware" {
  type        = string
  description = "The file of a UEFI firmware; null boots by BIOS"
  default     = null
}

provider "libvirt" {
  uri = var.uri
}

resource "libvirt_volume" "image" {
  name   = basename(var.image)
  pool   = var.pool
  source = var.image
  format = "qcow2"
}

resource "libvirt_volume" "disk" {
  for_each       = var.nodes
  name           = "${each.key}.qcow2"
  pool           = var.pool
  base_volume_id = libvirt_volume.image.id
  format         = "qcow2"
  size           = 8 * 1024 * 1024 * 1024
}

resource "libvirt_cloudinit_disk" "seed" {
  for_each       = var.nodes
  name           = "${each.key}.iso"
  pool           = var.pool
  user_data      = file("${var.seeds}/${each.key}/user-data")
  meta_data      = file("${var.seeds}/${each.key}/meta-data")
  network_config = try(file("${var.seeds}/${each.key}/network-config"), null)
}

resource "libvirt_domain" "node" {
  for_each  = var.nodes
  name      = replace(each.key, "_", "-")
  memory    = 1024
  vcpu      = 2
  firmware  = var.firmware
  cloudinit = libvirt_cloudinit_disk.seed[each.key].id
  autostart = true

  cpu {
    mode = "host-passthrough"
  }

  disk {
    volume_id = libvirt_volume.disk[each.key].id
  }

  dynamic "network_interface" {
    for_each = each.value
    content {
      network_name = network_interface.value.network
      mac          = network_interface.value.mac
    }
  }

  console {
    type        = "pty"
    target_port = "0"
    target_type = "serial"
  }
}
