package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/dpkg"
	"github.com/hapair/hapair/internal/install"
)

// Work is an image that is being made.
type Work struct {
	o            Options
	base         BaseInfo
	disk         *scratch // raw, in the directory of the output
	opened       *opened
	machine      *Machine
	closeMachine func() error
	installed    []dpkg.Package // set when the image is sealed
}

// Begin checks this machine and the options, gets the base image, and opens a working copy of it.
func Begin(ctx context.Context, o Options) (*Work, error) {
	if err := o.check(os.Geteuid()); err != nil {
		return nil, err
	}
	w := &Work{o: o}
	err := w.begin(ctx)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *Work) begin(ctx context.Context) error {
	o := &w.o
	var err error
	if o.packages, err = startPackageCache(o); err != nil {
		return err
	}
	file, info, err := getBase(ctx, o)
	w.base = info
	if err != nil {
		return err
	}
	defer file.Close()
	if err := o.stage("copy the base", func() error { return w.copy(ctx, file) }); err != nil {
		return err
	}
	return o.stage("open the image", func() error { return w.open(ctx) })
}

func (w *Work) copy(ctx context.Context, base *os.File) (err error) {
	info, err := base.Stat()
	if err != nil {
		return fmt.Errorf("cannot read the base: %w", err)
	}
	if err := checkSpace(ctx, base, filepath.Dir(w.o.Output), min(info.Size()/4, installRoom)); err != nil {
		return err
	}
	if w.disk, err = newScratch(filepath.Dir(w.o.Output)); err != nil {
		return err
	}
	if err := copyBase(ctx, base, w.disk.File); err != nil {
		return err
	}
	size, err := w.o.diskSize(w.disk.File)
	if err != nil || size == 0 {
		return err
	}
	return grow(ctx, w.disk.File, size)
}

const mib = 1 << 20

// installRoom is the approximate maximum size in bytes of a recipe's packages and files.
const installRoom = 512 * mib

// checkSpace returns an error if a disk has too little free space. Otherwise a full disk would look like a broken file
// system in the image. more bytes are needed in addition to a raw copy of the base.
func checkSpace(ctx context.Context, base *os.File, dir string, more int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("cannot write in %s: %w", dir, err)
	}
	need, err := dataSize(ctx, base)
	if err != nil {
		return err
	}
	need += more
	if free := int64(fs.Bavail) * fs.Bsize; free < need {
		return fmt.Errorf("cannot bake in %s: no space left on device: %d MiB are free, but %d are needed", dir, free/mib, (need+mib-1)/mib)
	}
	return nil
}

// blocks returns the number of bytes that a file takes on the disk.
func blocks(f *os.File) (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, fmt.Errorf("cannot read the base: %w", err)
	}
	return st.Blocks * 512, nil
}

func (w *Work) open(ctx context.Context) (err error) {
	if w.opened, err = openDisk(ctx, w.disk.File, false); err != nil {
		return err
	}
	if err := w.checkRelease(); err != nil {
		return err
	}
	if err := w.checkArchitecture(); err != nil {
		return err
	}
	if _, err := w.opened.attach(partition{}, true); err != nil { // the whole disk, for grub
		return err
	}
	w.machine, w.closeMachine, err = newMachine(w.opened, &w.o, false)
	return err
}

// checkRelease checks that the base has the expected release.
func (w *Work) checkRelease() error {
	name, err := tree{w.opened.root}.codename()
	switch {
	case err != nil:
		return err
	case name == "":
		return errors.New("cannot use the base: its os-release has no VERSION_CODENAME")
	case name != w.o.Release.Name:
		return fmt.Errorf("cannot use the base: its release is %s, but the image's must be %s: name the right base, or use --release %s", name, w.o.Release.Name, name)
	}
	return nil
}

// newMachine returns a machine for an opened image. The returned function removes what the image must not keep; it must be
// called before the image is closed.
func newMachine(o *opened, opts *Options, writeDisk bool) (*Machine, func() error, error) {
	before := len(o.mounts)
	if err := o.mountSystem(writeDisk); err != nil {
		return nil, nil, err
	}
	content, err := os.ReadFile(resolvConf)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("cannot read this machine's %s: %w", resolvConf, err)
	}
	r := &resolver{root: o.root, content: content}
	if err := r.set(); err != nil {
		return nil, nil, err
	}
	m := &Machine{opened: o, env: opts.environment(), files: map[string]string{}}
	if err := m.usePackageCache(opts.packages); err != nil {
		return nil, nil, err
	}
	return m, func() error {
		if err := r.restore(); err != nil {
			return err
		}
		return o.unmount(before)
	}, nil
}

// Machine returns the machine in the image.
func (w *Work) Machine() *Machine { return w.machine }

// Finish seals the image, makes its manifest, closes it, checks its file system, and publishes image and manifest under
// their final names.
func (w *Work) Finish(ctx context.Context) (Manifest, error) {
	if err := w.keepSources(ctx); err != nil {
		return Manifest{}, err
	}
	if err := install.Do(ctx, w.machine, install.Seal(), w.o.Report); err != nil {
		return Manifest{}, err
	}
	m, err := w.manifest(ctx)
	if err != nil {
		return m, err
	}
	if err := w.o.stage("close the image", func() error { return w.closeImage(ctx) }); err != nil {
		return m, err
	}
	if err := w.o.stage("write "+w.o.Output, func() error { return w.write(ctx, &m) }); err != nil {
		return m, err
	}
	w.o.packages.confirm()
	return m, w.Close()
}

func (w *Work) closeImage(ctx context.Context) error {
	if err := w.closeMachine(); err != nil {
		return err
	}
	w.closeMachine = nil
	if err := w.setTimes(); err != nil {
		return err
	}
	if err := trim(w.opened.root.File); err != nil {
		return err
	}
	o := w.opened
	w.opened = nil
	if err := o.close(); err != nil {
		return err
	}
	return check(ctx, w.disk.File)
}

// trim releases the space of deleted files in the image. If the underlying file system does not support it, the image is
// just larger.
func trim(root *os.File) error {
	r := struct{ start, length, minLength uint64 }{length: 1<<64 - 1}
	const fitrim = 0xc0185879 // FITRIM of linux/fs.h
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, root.Fd(), fitrim, uintptr(unsafe.Pointer(&r)))
	if errno != 0 && errno != unix.EOPNOTSUPP && errno != unix.ENOTTY {
		return fmt.Errorf("cannot trim the image's file system: %w", errno)
	}
	return nil
}

// write publishes image and manifest when both are complete. It publishes the image first, because a manifest without its
// image would describe a file that does not exist. It adds the image's digest to the manifest.
func (w *Work) write(ctx context.Context, m *Manifest) error {
	result, err := w.result(ctx)
	if err != nil {
		return err
	}
	defer result.discard()
	digest, err := fileDigest(ctx, result.File)
	if err != nil {
		return fmt.Errorf("cannot read the new image: %w", err)
	}
	m.Image = "sha256:" + digest
	software, err := w.prepareSoftware(ctx, m)
	if err != nil {
		return err
	}
	defer software.discard()
	manifest, err := m.prepare(w.o.Output)
	if err != nil {
		return err
	}
	defer manifest.discard()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := result.publish(w.o.Output, 0o644); err != nil {
		return err
	}
	if err := software.publish(SoftwarePath(w.o.Output), 0o644); err != nil {
		return err
	}
	return manifest.publish(ManifestPath(w.o.Output), 0o644)
}

// Close discards everything that Finish has not written. It may be called at any time, and repeatedly.
func (w *Work) Close() error {
	var err error
	if w.opened != nil {
		err = w.opened.close()
		w.opened = nil
	}
	if w.disk != nil {
		w.disk.discard()
		w.disk = nil
	}
	if w.o.packages != nil {
		err = errors.Join(err, w.o.packages.Close())
		w.o.packages = nil
	}
	return err
}
