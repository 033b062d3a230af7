package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hapair/hapair/internal/archive"
	"github.com/hapair/hapair/internal/install"
	"github.com/hapair/hapair/internal/release"
)

// bootstrapSize is the disk of a bootstrapped base: room for what is installed, and cloud-init grows it at first boot.
const bootstrapSize = 2 << 30

// basePackages make a system that boots on a virtual machine and takes its identity from cloud-init.
func basePackages(r release.Release) []string {
	list := []string{
		"systemd", "systemd-sysv", "udev", "dbus", r.Kernel, "initramfs-tools", "e2fsprogs", "kmod",
		"grub-pc", "shim-signed", "grub-efi-amd64-signed", // for BIOS and for UEFI, which may have secure boot
		"cloud-init", "cloud-guest-utils", "fdisk", "netplan.io", "systemd-timesyncd", "openssh-server", "sudo",
		"iproute2", "iputils-ping", "procps", "ca-certificates", "nftables", "apt-utils",
		"lsb-release", // cloud-init warns without it, and a warning makes its status "degraded"
	}
	if r.Systemd.AtLeast(250, 0, 0) {
		list = append(list, "systemd-resolved") // a part of the package systemd before
	}
	return list
}

// bootstrapper makes a base image.
type bootstrapper struct {
	o       *Options
	sources string // of apt; empty: mmdebstrap's own default, which it writes itself
}

// bootstrapBase makes the base that o asks for, or finds it in the cache, and opens it. The digest is that of everything
// the base was asked to be.
func bootstrapBase(ctx context.Context, o *Options) (file *os.File, info BaseInfo, err error) {
	b, err := newBootstrapper(ctx, o)
	if err != nil {
		return nil, info, err
	}
	digest := b.digest()
	info = BaseInfo{Source: Bootstrap, Digest: "sha256:" + digest}
	name := "bootstrap-" + o.Release.Name + "-" + digest[:16] + ".raw"
	if file, err = o.cachedBootstrap(ctx, name); file != nil || err != nil {
		return file, info, err
	}
	// A process that had to wait finds the base that the other one made.
	unlock, err := archive.Lock(ctx, filepath.Join(o.CacheDir, name+".lock"))
	if err != nil {
		return nil, info, err
	}
	defer unlock()
	if file, err = o.cachedBootstrap(ctx, name); file != nil || err != nil {
		return file, info, err
	}
	if err := b.make(ctx, filepath.Join(o.CacheDir, name)); err != nil {
		return nil, info, err
	}
	file, err = o.cached(name)
	return file, info, err
}

// newBootstrapper finds out what the archive has.
func newBootstrapper(ctx context.Context, o *Options) (*bootstrapper, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("cannot bootstrap on %s: only amd64 is known; name an image by --base", runtime.GOARCH)
	}
	b := &bootstrapper{o: o}
	all, options := o.suites()
	if all == nil {
		return b, nil
	}
	found, err := reachable(ctx, o.client(), all, o.leaveOut)
	if err != nil {
		return nil, err
	}
	b.sources = aptSources(found, o.Release, options)
	return b, nil
}

// leaveOut reports a suite that an image will not have.
func (o *Options) leaveOut(s suite) {
	_ = o.stage(fmt.Sprintf("warning: %s is left out: the archive %s does not have it", s.name, s.archive), func() error { return nil })
}

// digest is that of all that makes the base.
func (b *bootstrapper) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d %q %q %q %q %+v %q\n", b.o.Release.Name, bootstrapSize, partitionTable, b.sources, basePackages(b.o.Release), grubScript,
		espFiles(b.o.Release), espConfig)
	for _, f := range b.files() {
		fmt.Fprintf(h, "%q %q\n", f.path, f.content)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (b *bootstrapper) make(ctx context.Context, file string) error {
	disk, err := newScratch(b.o.CacheDir)
	if err != nil {
		return err
	}
	defer disk.discard()
	if err := format(ctx, disk.File, bootstrapSize, b.digest()); err != nil {
		return err
	}
	parts, err := partitions(ctx, disk.File)
	if err != nil {
		return err
	}
	opened, err := newOpened(disk.File, parts)
	if err != nil {
		return err
	}
	err = b.fill(ctx, opened)
	if err := errors.Join(err, opened.close()); err != nil {
		return err
	}
	content, err := contentDigest(ctx, disk.File)
	if err != nil {
		return fmt.Errorf("cannot read the new base: %w", err)
	}
	if err := disk.publish(file, 0o600); err != nil {
		return err
	}
	return b.o.keepDigest(file, content)
}

func (b *bootstrapper) fill(ctx context.Context, o *opened) error {
	if err := o.mountNew(); err != nil {
		return err
	}
	if err := b.mmdebstrap(ctx, o); err != nil {
		return err
	}
	disk, err := o.attach(partition{}, false) // the whole disk, for grub
	if err != nil {
		return err
	}
	opts := *b.o
	opts.Epoch = time.Unix(0, 0) // bakes with other epochs share the base
	m, closeMachine, err := newMachine(o, &opts, true)
	if err != nil {
		return err
	}
	for _, f := range b.files() {
		if err := o.root.mkdirAll(filepath.Dir(f.path), 0o755); err != nil {
			return err
		}
		if err := m.Upload(ctx, f.path, 0o644, strings.NewReader(f.content)); err != nil {
			return err
		}
	}
	script := install.Script(fmt.Sprintf(grubScript, disk.alias()))
	err = install.Do(ctx, m, []install.Step{{Name: "install the boot loader", Run: script}}, b.o.Report)
	if err == nil {
		err = b.fillESP(ctx, o)
	}
	return errors.Join(err, closeMachine())
}

// mountNew mounts the one ext4 partition of a new disk. Without barriers: nothing has to be durable before the end.
func (o *opened) mountNew() error {
	for _, p := range o.parts {
		if p.fs == nil {
			continue
		}
		l, err := o.attach(p, false)
		if err != nil {
			return err
		}
		o.device, o.uuid = l, p.fs.uuid
		if err := o.mount(l.path(), rootDir, "ext4", unix.MS_NOATIME, "nobarrier,"+onError); err != nil {
			return err
		}
		return o.openRoot()
	}
	return errNoRoot
}

// mmdebstrap unpacks and configures the packages into the mounted file system. Its temporary files are in the namespace.
func (b *bootstrapper) mmdebstrap(ctx context.Context, o *opened) error {
	path, err := lookTool("mmdebstrap")
	if err != nil {
		return err
	}
	r := b.o.Release
	keys, err := archive.Keyring(ctx, r)
	if err != nil {
		return err
	}
	keyring := tempDir + "/archive.gpg" // readable by apt's own user
	if err := o.ns.do(func() error { return os.WriteFile(keyring, keys, 0o644) }); err != nil {
		return fmt.Errorf("cannot keep the keys of %s: %w", r.Name, err)
	}
	args := []string{"--", path, "--mode=root", "--format=directory", "--variant=minbase", "--architectures=amd64",
		"--keyring=" + keyring, "--components=" + strings.Join(r.Components, ","), "--include=" + strings.Join(basePackages(r), ","),
		// Without it grub-pc's postinst wants to know a disk to write to.
		`--essential-hook=echo grub-pc grub-pc/install_devices_empty boolean true | chroot "$1" debconf-set-selections`,
		r.Name, rootDir}
	if b.sources != "" {
		args = append(args, "-") // its standard input
	}
	cmd, err := sandbox(ctx, args...)
	if err != nil {
		return err
	}
	cmd.Env = append(append(toolEnv(), "TMPDIR="+tempDir, "SOURCE_DATE_EPOCH=0"), b.o.Env...)
	if b.o.packages != nil {
		cmd.Env = append(cmd.Env, "http_proxy="+b.o.packages.proxy) // mmdebstrap would leave an option of apt's in the image
	}
	cmd.Stdin = strings.NewReader(b.sources)
	return install.Output("bootstrap "+r.Name, b.o.Report, func(w *install.Lines) error {
		cmd.Stdout, cmd.Stderr = w, w
		err := o.run(cmd)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	})
}

// file of a bootstrapped base.
type file struct{ path, content string }

func (b *bootstrapper) files() []file {
	all := []file{
		{"/etc/fstab", "LABEL=" + rootLabel + " / ext4 defaults,errors=remount-ro 0 1\n" +
			// The boot loader's packages write to it. A machine without it, or with a damaged one, must boot: nothing waits
			// for it, so that it needs no shorter time limit, which a slow machine would miss.
			"LABEL=" + espLabel + " /boot/efi vfat umask=0077,nofail 0 0\n"},
		{"/etc/hostname", "localhost\n"},
		{"/etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n"},
		{"/etc/default/locale", "LANG=C.UTF-8\n"},
		// Since 24.04 systemd-tmpfiles makes the former a link to the latter at the first boot.
		{"/etc/locale.conf", "LANG=C.UTF-8\n"},
		{"/etc/cloud/cloud.cfg.d/50_hapair_base.cfg", "# A minimal system has no other locale, and making one would fail.\nlocale: C.UTF-8\n"},
		{"/etc/default/grub.d/50_hapair.cfg", grubDefaults},
	}
	if b.sources != "" {
		all = append(all, file{aptSourcesPath, b.sources})
	}
	return all
}

const grubDefaults = `# A virtual machine: no menu to wait for, and the console on the serial port as well.
GRUB_TIMEOUT=0
# Ubuntu's grub would wait 30 s for a key after a boot that did not end well, such as one that a power cut ended.
GRUB_RECORDFAIL_TIMEOUT=0
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --speed=115200"
GRUB_DISABLE_OS_PROBER=true
`

// grubScript ends a bootstrap, in the chroot. The %s is the loop device over the whole disk. To grub-install the root is a
// loop device without partitions: that part_gpt is needed to find it must be said.
const grubScript = `set -eu
if [ -e /lib/systemd/system/systemd-resolved.service ]; then
	ln -sfn ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
fi
systemctl enable systemd-networkd.service
grub-install --target=i386-pc --boot-directory=/boot --skip-fs-probe --grub-mkdevicemap=/dev/null --modules='part_gpt ext2' /dev/%s
# The signed grub has most modules in it; without secure boot it loads others, such as bli, from here.
mkdir -p /boot/grub/x86_64-efi
cp /usr/lib/grub/x86_64-efi/*.mod /usr/lib/grub/x86_64-efi/*.lst /boot/grub/x86_64-efi/
update-grub
# It ends well when it finds no kernel.
grep -q '^[[:space:]]*linux.* root=UUID=' /boot/grub/grub.cfg || { echo 'no kernel in grub.cfg' >&2; exit 1; }
`
