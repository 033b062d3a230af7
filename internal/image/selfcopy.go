package image

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// selfCopy is a sealed copy of this program in memory. A program in an image can open its own executable through
// /proc/self/exe, and must not be able to change this machine's file in this way (CVE-2019-5736).
var selfCopy = sync.OnceValues(copySelf)

func copySelf() (*os.File, error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, fmt.Errorf("cannot read this program: %w", err)
	}
	defer self.Close()
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("hapair", flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate("hapair", flags) // before Linux 6.3, every memfd was executable
	}
	if err != nil {
		return nil, fmt.Errorf("cannot make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "hapair")
	defer f.Close()
	if _, err := io.Copy(f, self); err != nil {
		return nil, fmt.Errorf("cannot copy this program: %w", err)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("cannot seal a file in memory: %w", err)
	}
	// A file that is open for writing cannot be executed, so it is opened again.
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
}
