# The nodes of a spec on OpenStack, with what bake makes: an image (bake image) and user-data for each node
# (bake cloud-init --cloud openstack). The provider takes the cloud from clouds.yaml or the environment (OS_CLOUD, …).

terraform {
  required_version = ">= 1.6"
  required_providers {
    openstack = {
      source  = "terraform-provider-openstack/openstack"
      version = ">= 1.54.0"
    }
  }
}

variable "image" {
  type        = string
  description = "The golden image, as a qcow2"
}

variable "seeds" {
  type        = string
  description = "The directory that bake cloud-init wrote"
}

variable "flavor" {
  type        = string
  description = "The flavor of the nodes"
}

variable "nodes" {
  type = map(map(object({
    address = string
    mac     = optional(string)
  })))
  description = "The address, and if wanted the MAC, of each node on each network, by the node's name in the spec and the network's name"
}

variable "vips" {
  type        = map(list(string))
  description = "The virtual IPs, by the network's name"
}

variable "ports" {
  type        = set(number)
  description = "The TCP ports of the services"
}

locals {
  networks = toset(flatten([for cards in var.nodes : keys(cards)]))
  cards = merge([for node, cards in var.nodes : {
    for network, card in cards : "${node}/${network}" => merge(card, { node = node, network = network })
  }]...)
}

data "openstack_networking_network_v2" "network" {
  for_each = local.networks
  name     = each.key
}

resource "openstack_images_image_v2" "image" {
  name             = "hapair"
  local_file_path  = var.image
  container_format = "bare"
  disk_format      = "qcow2"
}

resource "openstack_networking_secgroup_v2" "nodes" {
  name        = "load-balancers"
  description = "Nodes of hapair"
}

resource "openstack_networking_secgroup_rule_v2" "vrrp" {
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "vrrp"
  remote_group_id   = openstack_networking_secgroup_v2.nodes.id
  security_group_id = openstack_networking_secgroup_v2.nodes.id
}

resource "openstack_networking_secgroup_rule_v2" "service" {
  for_each          = { for port in var.ports : tostring(port) => port }
  direction         = "ingress"
  ethertype         = "IPv4"
  protocol          = "tcp"
  port_range_min    = each.value
  port_range_max    = each.value
  security_group_id = openstack_networking_secgroup_v2.nodes.id
}

resource "openstack_networking_port_v2" "card" {
  for_each           = local.cards
  name               = each.key
  network_id         = data.openstack_networking_network_v2.network[each.value.network].id
  mac_address        = each.value.mac
  security_group_ids = [openstack_networking_secgroup_v2.nodes.id]

  fixed_ip {
    subnet_id  = one(data.openstack_networking_network_v2.network[each.value.network].subnets)
    ip_address = each.value.address
  }

  dynamic "allowed_address_pairs" {
    for_each = lookup(var.vips, each.value.network, [])
    content {
      ip_address = allowed_address_pairs.value
    }
  }
}

resource "openstack_compute_instance_v2" "node" {
  for_each     = var.nodes
  name         = replace(each.key, "_", "-")
  image_id     = openstack_images_image_v2.image.id
  flavor_name  = var.flavor
  config_drive = true
  user_data    = file("${var.seeds}/${each.key}/user-data")

  dynamic "network" {
    for_each = each.value
    content {
      port = openstack_networking_port_v2.card["${each.key}/${network.key}"].id
    }
  }
}
