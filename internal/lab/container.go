package lab

// withoutMachine are drop-ins for units that fail in a container, because they need a part of a machine that it does not
// have. Whatever else these units do stays as it is.
func withoutMachine() map[string]string {
	const notHere = "[Unit]\nConditionVirtualization=!container\n"
	return map[string]string{
		// netplan 1.2 has udevd rename the interfaces after it has written its files. systemd does not start udevd in a
		// container, and nspawn has given the interfaces their names.
		"netplan-configure.service": "[Service]\nExecStartPost=\n",
		// Ubuntu 26.04 records a successful boot in the boot loader's file, on the disk that it looks up below /boot.
		"grub2-common.service":         notHere,
		"grub-initrd-fallback.service": notHere,
	}
}

// adapt lays the drop-ins down on the host's disk.
func (h *Host) adapt() error {
	for unit, dropIn := range withoutMachine() {
		if err := h.WriteFile("/etc/systemd/system/"+unit+".d/lab.conf", 0o644, []byte(dropIn)); err != nil {
			return err
		}
	}
	return nil
}
