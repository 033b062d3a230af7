package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Missing returns an error that names what the lab needs but this machine lacks, or nil.
func Missing() error {
	if os.Geteuid() != 0 {
		return errors.New("cannot run the lab: root is required; use sudo")
	}
	packageOf := map[string]string{"unshare": "util-linux", "nsenter": "util-linux", "mmdebstrap": "mmdebstrap",
		"systemd-nspawn": "systemd-container", "xorriso": "xorriso", "sfdisk": "fdisk", "qemu-img": "qemu-utils"}
	var missing, packages []string
	for _, tool := range []string{"unshare", "nsenter", "mmdebstrap", "systemd-nspawn", "xorriso", "sfdisk", "qemu-img"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing, packages = append(missing, tool), append(packages, packageOf[tool])
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("cannot run the lab: %s not found; apt install %s", strings.Join(missing, ", "), strings.Join(slices.Compact(packages), " "))
	}
	return nil
}
