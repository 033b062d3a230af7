package lab

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/image"
)

// Image makes a base from a disk image, in any format that bake image writes. It opens the image like a bake does, and does not change it.
func (l *Lab) Image(ctx context.Context, path string) (b *Base, err error) {
	err = image.WithRoot(ctx, path, os.TempDir(), func(device string) error {
		b, err = l.addBase(func(target string) error {
			return unix.Mount(device, target, "ext4", image.MountFlags, image.MountOptions)
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot use the image %s: %w", path, err)
	}
	return b, nil
}
