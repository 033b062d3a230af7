package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Extract copies the root file system of an image into the directory dir on this machine, including owners, modes, links and
// extended attributes. It creates dir if it does not exist. If dir exists, it must be empty.
func Extract(ctx context.Context, file, dir string) (err error) {
	if err := emptyDir(dir); err != nil {
		return err
	}
	disk, err := rawDisk(ctx, file, filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return err
	}
	defer disk.Close()
	o, err := openDisk(ctx, disk, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	return o.copyTo(ctx, dir)
}

// WithRoot opens an image and calls use with the block device of its root file system, which is read-only. The device exists
// until use returns, and after that as long as it is mounted. An image in another format than raw is converted to an unnamed
// file in scratchDir, which exists as long as the device.
func WithRoot(ctx context.Context, file, scratchDir string, use func(device string) error) (err error) {
	disk, err := rawDisk(ctx, file, scratchDir)
	if err != nil {
		return err
	}
	defer disk.Close()
	o, err := openDisk(ctx, disk, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	return use(o.device.path())
}

// Mount flags and options for the device from WithRoot.
const (
	MountFlags   = untrusted | unix.MS_RDONLY
	MountOptions = onError
)

func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot extract an image: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot extract an image: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("cannot extract an image: %s is not empty", dir)
	}
	return nil
}

// copyTo copies with two tar processes: one reads in the namespace, the other writes outside.
func (o *opened) copyTo(ctx context.Context, dir string) error {
	tar, err := lookTool("tar")
	if err != nil {
		return err
	}
	flags := []string{"--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls"}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	read := exec.CommandContext(ctx, tar, append(flags, "--sparse", "-C", rootDir, "-cf", "-", ".")...)
	read.Env, read.Stdout = toolEnv(), w
	write := exec.CommandContext(ctx, tar, append(flags, "--same-permissions", "--same-owner", "-C", dir, "-xf", "-")...)
	write.Env, write.Stdin = toolEnv(), r
	readErr := make(chan error, 1)
	go func() {
		err := o.run(read)
		w.Close()
		readErr <- err
	}()
	_, err = output(ctx, write)
	r.Close()
	if err := errors.Join(err, <-readErr); err != nil {
		return fmt.Errorf("cannot extract the image into %s: %w", dir, err)
	}
	return nil
}
