package lab

// withoutMachine returns drop-ins for units that fail in a container because they need a missing part of a machine.
// Everything else that these units do is unchanged.
func withoutMachine() map[string]string {
	const notHere = "[Unit]\nConditionVirtualization=!container\n"
	return map[string]string{
		// netplan 1.2 makes udevd rename the interfaces after it has written its files. systemd does not start udevd in a
		// container, and nspawn has already named the interfaces.
		"netplan-configure.service": "[Service]\nExecStartPost=\n",
		// Ubuntu 26.04 records a successful boot in a file of the boot loader, on the disk that it finds below /boot.
		"grub2-common.service":         notHere,
		"grub-initrd-fallback.service": notHere,
	}
}

// adapt writes the drop-ins to the host's disk.
func (h *Host) adapt() error {
	for unit, dropIn := range withoutMachine() {
		if err := h.WriteFile("/etc/systemd/system/"+unit+".d/lab.conf", 0o644, []byte(dropIn)); err != nil {
			return err
		}
	}
	return nil
}
