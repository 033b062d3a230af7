package lab

import "strconv"

// On tells whether the host has power.
func (h *Host) On() bool {
	_, err := h.running()
	return err == nil
}

// Leader is the process id of the running host's systemd, as seen from here.
func (h *Host) Leader() (int, error) {
	b, err := h.running()
	if err != nil {
		return 0, err
	}
	return b.leader, nil
}

// EnterArgs are what comes before a command to run it in all namespaces of a host: nsenter and its arguments.
func EnterArgs(leader int) []string {
	return append(append(withOpenFiles("nsenter", "-t", strconv.Itoa(leader)), hostNamespaces()...), "--")
}

// hostNamespaces has the user namespace among them: a program of the host, which may be hostile, runs without power over
// this machine.
func hostNamespaces() []string {
	return []string{"-U", "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"}
}
