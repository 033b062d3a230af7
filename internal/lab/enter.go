package lab

import "strconv"

// On reports whether the host is powered on.
func (h *Host) On() bool {
	_, err := h.running()
	return err == nil
}

// Leader returns the process ID of the running host's systemd, outside its namespace.
func (h *Host) Leader() (int, error) {
	b, err := h.running()
	if err != nil {
		return 0, err
	}
	return b.leader, nil
}

// EnterArgs returns the beginning of a command line that runs a command in all namespaces of a host: nsenter and its
// arguments.
func EnterArgs(leader int) []string {
	return append(append(withOpenFiles("nsenter", "-t", strconv.Itoa(leader)), hostNamespaces()...), "--")
}

// hostNamespaces returns nsenter's flags. The user namespace is included, so that a program of the host, which may be
// hostile, has no privileges over this machine.
func hostNamespaces() []string {
	return []string{"-U", "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"}
}
