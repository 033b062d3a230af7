package lab_test

import (
	"testing"

	"github.com/hapair/hapair/internal/lab"
	"github.com/hapair/hapair/internal/testing/needs"
)

// The error must name the missing programs, and the packages that contain them.
func TestMissing(t *testing.T) {
	needs.Lab(t)
	t.Setenv("PATH", t.TempDir())
	want := "cannot run the lab: unshare, nsenter, mmdebstrap, systemd-nspawn, xorriso, sfdisk, qemu-img not found; " +
		"apt install util-linux mmdebstrap systemd-container xorriso fdisk qemu-utils"
	if err := lab.Missing(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
