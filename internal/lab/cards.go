package lab

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"

	"gopkg.in/yaml.v3"
)

// HardwareAddress returns the hardware address of an interface: the one that the seed's network-config matches, or one that
// the lab has chosen.
func (h *Host) HardwareAddress(iface string) net.HardwareAddr {
	if mac := h.cards[iface]; mac != nil {
		return mac
	}
	sum := sha256.Sum256([]byte(h.Name + " " + iface))
	return append(net.HardwareAddr{0x02}, sum[:5]...) // 02: locally administered
}

// permanent makes networkd match the current hardware address of an interface. netplan makes it match the permanent address,
// which is necessary on a real machine, where the members of a bond have their bond's address. But the virtual interfaces of
// a host in the lab have no permanent address (ethtool(8), --show-permaddr).
const permanent = `# written by the lab
[Service]
ExecStartPre=+/bin/sh -c "sed -i s/^PermanentMACAddress=/MACAddress=/ /run/systemd/network/*.network /etc/systemd/network/*.network 2>/dev/null; true"
`

// fitCards reads the interfaces that a network-config matches by hardware address. In the lab, no udev renames the interface
// with an address. Instead, the lab gives the address to the interface with that name.
func (h *Host) fitCards(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	type config struct {
		Ethernets map[string]struct {
			Match struct {
				MACAddress string `yaml:"macaddress"`
			} `yaml:"match"`
			SetName string `yaml:"set-name"`
		} `yaml:"ethernets"`
	}
	var file struct {
		Network config           `yaml:"network"`
		config  `yaml:",inline"` // cloud-init accepts it with and without "network:"
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("cannot read network-config: %w", err)
	}
	h.cards = map[string]net.HardwareAddr{}
	for _, c := range []config{file.Network, file.config} {
		for id, e := range c.Ethernets {
			name := e.SetName
			if name == "" {
				name = id
			}
			mac, err := net.ParseMAC(e.Match.MACAddress)
			if err == nil && slices.ContainsFunc(h.Interfaces, func(i Interface) bool { return i.Name == name }) {
				h.cards[name] = mac
			}
		}
	}
	if len(h.cards) == 0 {
		return nil
	}
	return h.WriteFile("/etc/systemd/system/systemd-networkd.service.d/lab.conf", 0o644, []byte(permanent))
}
